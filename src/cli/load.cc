// weir load: requests against a running server, with figures and every text checked.
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "server/load.h"

namespace weir::cli {
namespace {

constexpr uint64_t kLargestTrace = uint64_t{1} << 28;

struct Options {
  std::string url, key, trace;
  double patience = 60;
  bool json = false;
  LoadOptions load;
};

int run(Options o) {
  LoadTarget target = parse_load_url(o.url);
  target.key = o.key;
  target.patience_seconds = o.patience;
  if (!o.trace.empty()) o.load.trace = parse_trace(read_file(o.trace, kLargestTrace));
  LoadReport report;
  {
    ProgressBar bar;
    report = run_load(target, o.load,
                      [&](double share, const std::string& what) { bar.show(share, what); });
  }
  std::fputs((o.json ? load_json(report) : load_table(report)).c_str(), stdout);
  return report.passed() ? kSuccess : kFailure;
}

}  // namespace

void add_load(Commands& commands) {
  auto o = std::make_shared<Options>();
  LoadOptions& load = o->load;
  CLI::App* c = commands.add("load", "Put a server under load and check every text it answers",
                             [o] { return run(*o); });
  const auto add = [c](const char* name, auto& value, const char* help) {
    c->add_option(name, value, help)->capture_default_str();
  };
  c->add_option("URL", o->url, "http://HOST:PORT of an OpenAI server")->required();
  c->add_option("--key", o->key, "API key")->envname("WEIR_API_KEY");
  c->add_option("--model", load.model, "Name of the model [the server's first]");
  add("--streams", load.streams, "Requests at the same time");
  add("--seconds", load.seconds, "Time in which requests begin");
  add("--requests", load.requests, "So many requests instead of a time");
  add("--rate", load.rate, "Arrivals a second (Poisson) instead of streams");
  c->add_option("--trace", o->trace, "Arrivals of an Azure CSV or Mooncake JSON lines file");
  add("--speed", load.speed, "The trace runs so many times faster");
  add("--distinct", load.distinct, "Different requests to draw from");
  add("--short", load.short_words, "Words of short prompts");
  add("--long", load.long_words, "Words of long prompts");
  add("--long-share", load.long_share, "Share of long prompts");
  add("--max-prompt", load.max_prompt, "Words of the longest prompt of a trace");
  add("-n,--max-tokens", load.max_tokens, "Tokens of an answer");
  add("--disconnect", load.disconnect, "Share of clients that leave midway");
  add("--slow", load.slow_bytes_per_second, "Bytes a second of slow readers");
  add("--slow-streams", load.slow_streams, "Streams that read slowly; they are not measured");
  add("--patience", o->patience, "Seconds without a byte until a request counts as failed");
  add("--first-deadline", load.first_deadline, "Seconds to the first token of an answer in time");
  add("--between-deadline", load.between_deadline, "Seconds between its tokens, on average");
  add("--seed", load.seed, "Seed of the requests");
  c->add_flag("--verify", load.verify,
              "Run each distinct request alone first and compare every text with that");
  c->add_flag("--allow-shed", load.allow_shed, "429 and 503 with Retry-After are no errors");
  c->add_flag("!--no-chat", load.chat, "Only completions: for models without a chat template");
  c->add_flag("--json", o->json, "Print the figures as JSON");
}

}  // namespace weir::cli
