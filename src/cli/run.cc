// weir run: one answer on standard output, or a chat on a terminal. Only the text goes to standard
// output; statistics and notices go to standard error.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/chat.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "decoding/sampling_params.h"
#include "engine/chat_prompt.h"
#include "engine/engine.h"
#include "engine/native_limits.h"
#include "lab/policy.h"
#include "text/tokenizer.h"

namespace weir::cli {
namespace {

struct Options {
  std::string model, prompt, file, system, kv_type, numerics, policy_file;
  Policy policy;  // the defaults of what no flag says
  bool has_prompt = false, json = false, stats = false, raw = false, no_echo = false;
  int threads = 0;
  int64_t context = 0;
  std::map<std::string, std::vector<std::string>> sampling;  // flag -> texts
};

void write_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void write_notice(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

std::string statistics_text(const Statistics& s, const Capabilities& c) {
  return fmt::format(
      "load {:.0f} ms | first token {:.0f} ms | prompt {} tokens, {:.1f} tok/s | "
      "generated {} tokens, {:.1f} tok/s | peak memory {} | {} with {} threads\n",
      1e3 * s.load_seconds, 1e3 * s.first_token_seconds, s.prompt_tokens,
      s.prefill_tokens_per_second(), s.generated_tokens, s.decode_tokens_per_second(),
      human_bytes(static_cast<double>(s.peak_memory_bytes)), c.isa, c.threads);
}

nlohmann::ordered_json statistics_json(const Statistics& s, const Capabilities& c) {
  return {{"model", c.model},
          {"isa", c.isa},
          {"threads", c.threads},
          {"seed", s.seed},
          {"load_seconds", s.load_seconds},
          {"first_token_seconds", s.first_token_seconds},
          {"prompt_tokens", s.prompt_tokens},
          {"prompt_tokens_per_second", s.prefill_tokens_per_second()},
          {"generated_tokens", s.generated_tokens},
          {"generated_tokens_per_second", s.decode_tokens_per_second()},
          {"peak_memory_bytes", s.peak_memory_bytes}};
}

SamplingParams sampling_of(const Options& o) {
  SamplingParams params = o.policy.generation;
  for (const auto& [flag, texts] : o.sampling) sampling_options().set_text(params, flag, texts);
  return params;
}

/// What one run of the engine gave.
struct Answer {
  std::string text;
  std::vector<int32_t> tokens;
  FinishReason finish = FinishReason::none;
  std::string detail;
  Statistics statistics;
};

Answer run_request(Engine& engine, const Request& request,
                   const std::function<void(std::string_view)>& on_text) {
  Answer answer;
  answer.statistics = engine.run(request, [&](const Event& event) {
    if (!event.text.empty() && on_text) on_text(event.text);
    answer.text += event.text;
    if (event.token >= 0) answer.tokens.push_back(event.token);
    if (event.finish == FinishReason::none) return;
    answer.finish = event.finish;
    answer.detail = event.detail;
  });
  return answer;
}

/// The engine behind the chat on a terminal.
class EngineChat : public ChatBackend {
 public:
  EngineChat(std::shared_ptr<const Model> model, Engine& engine, const Options& options)
      : model_(std::move(model)), engine_(engine), sampling_(sampling_of(options)) {}

  std::string answer(const Conversation& conversation,
                     const std::function<void(std::string_view)>& on_text,
                     std::shared_ptr<const std::atomic<bool>> cancel) override {
    Request request;
    request.tokens = chat_tokens(*model_, conversation.with_system());
    request.sampling = sampling_;
    request.cancel = std::move(cancel);
    const Answer result = run_request(engine_, request, on_text);
    last_ = statistics_text(result.statistics, engine_.capabilities());
    return result.detail;
  }

  std::string stats() const override {
    const Capabilities& c = engine_.capabilities();
    return fmt::format("{}: context {} tokens, {} with {} threads\n{}", c.model, c.context_length,
                       c.isa, c.threads, last_.empty() ? "no answer yet\n" : last_);
  }

 private:
  std::shared_ptr<const Model> model_;
  Engine& engine_;
  SamplingParams sampling_;
  std::string last_;
};

int chat(const std::shared_ptr<const Model>& model, Engine& engine, const Options& o) {
  EngineChat backend(model, engine, o);
  Conversation conversation;
  conversation.system = o.system;
  write_notice(
      fmt::format("{} | /help lists the commands, Ctrl-D leaves\n", engine.capabilities().model));
  const auto editor = make_terminal_editor(history_path());
  run_chat(backend, *editor, {write_text, write_notice}, conversation);
  return kSuccess;
}

/// One answer to one prompt. Models with a chat template get a conversation; others continue the
/// text, and the text is printed before its continuation.
int answer(const std::shared_ptr<const Model>& model, Engine& engine, const Options& o,
           const std::string& prompt) {
  const bool as_chat = !o.raw && !model->chat_template().empty();
  Request request;
  request.sampling = sampling_of(o);
  if (as_chat) {
    Conversation conversation;
    conversation.system = o.system;
    conversation.messages.push_back({"user", prompt, ""});
    request.tokens = chat_tokens(*model, conversation.with_system());
  } else {
    request.prompt = o.system.empty() ? prompt : o.system + "\n\n" + prompt;
  }
  InterruptGuard guard;
  request.cancel = InterruptGuard::flag();
  if (!as_chat && !o.json && !o.no_echo) write_text(request.prompt);
  const Answer result = run_request(engine, request, o.json ? nullptr : std::function(write_text));
  if (o.json) {
    nlohmann::ordered_json json;
    json["text"] = result.text;
    json["tokens"] = result.tokens;
    json["finish_reason"] = finish_reason_name(result.finish);
    json["stats"] = statistics_json(result.statistics, engine.capabilities());
    write_text(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else {
    write_text("\n");
  }
  if (!result.detail.empty()) write_notice(result.detail + "\n");
  if (o.stats) write_notice(statistics_text(result.statistics, engine.capabilities()));
  return result.finish == FinishReason::cancelled ? kInterrupted : kSuccess;
}

int run(Options o) {
  if (!o.policy_file.empty()) o.policy = load_policy(o.policy_file);
  const bool from_terminal = isatty(STDIN_FILENO) != 0;
  const bool interactive = !o.has_prompt && o.file.empty() && from_terminal;
  std::string prompt = o.prompt;
  if (!o.file.empty()) prompt = read_file(o.file, uint64_t{256} << 20);
  if (!interactive && !o.has_prompt && o.file.empty())
    prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (!interactive && prompt.empty())
    fail(Code::invalid_argument, "the prompt is empty; give one with -p, -f or on standard input");
  sampling_of(o);  // wrong values are told before the model is loaded

  // The approval is for the model of the policy, not for one that a flag puts in its place.
  if (o.model.empty()) verify_audit(o.policy, default_audit_memory());
  const auto model = open_model(o.model.empty() ? o.policy.model.path : o.model);
  NativeOptions native = apply_runtime(o.policy.runtime, {});
  if (o.threads != 0) native.threads = o.threads;
  if (o.context != 0) native.context_length = o.context;
  if (!o.kv_type.empty()) native.kv_type = o.kv_type;
  if (!o.numerics.empty()) native.numerics = o.numerics;
  native.max_batch = 1;  // batch and cache of a policy are for a server
  native.cache_folder.clear();
  if (const auto budget = o.policy.runtime.memory_bytes()) {
    Fitted fitted = fit_memory(o.policy.runtime, *model, native, *budget);
    native = std::move(fitted.options);
    if (!fitted.said.empty()) std::fprintf(stderr, "weir: %s\n", fitted.said.c_str());
  }
  check_memory_budget(o.policy.runtime, *model, native);
  const auto engine = make_native_engine(model, native);
  if (!interactive) return answer(model, *engine, o, prompt);
  if (model->chat_template().empty())
    fail(Code::unsupported, "this model has no chat template; give a text to continue with -p");
  return chat(model, *engine, o);
}

/// One flag for each sampling option, from its declaration.
void add_sampling_flags(CLI::App& app, const std::shared_ptr<Options>& o) {
  for (const OptionInfo& info : sampling_options().infos()) {
    std::string names = "--" + info.flag;
    for (const std::string& alias : info.aliases)
      names += (alias.size() == 1 ? ",-" : ",--") + alias;
    if (info.name == "max_tokens") names += ",-n";
    const std::string help =
        info.help + (info.default_text.empty() ? "" : " [" + info.default_text + "]");
    const std::string name = info.name;
    if (info.type == OptionType::boolean) {
      app.add_flag_callback(
             names, [o, name] { o->sampling[name] = {"true"}; }, help)
          ->group("Sampling");
    } else {
      app.add_option_function<std::vector<std::string>>(
             names, [o, name](const std::vector<std::string>& texts) { o->sampling[name] = texts; },
             help)
          ->group("Sampling")
          ->take_all()
          ->allow_extra_args(false)
          ->type_name("VALUE");
    }
  }
}

}  // namespace

void add_run(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* c =
      commands.add("run", "Answer a prompt, or chat on a terminal", [o] { return run(*o); });
  c->add_option("MODEL", o->model, "GGUF file or Hugging Face folder [the embedded model]");
  c->add_option_function<std::string>(
      "-p,--prompt",
      [o](const std::string& text) {
        o->prompt = text;
        o->has_prompt = true;
      },
      "The prompt; else standard input, or a chat on a terminal");
  c->add_option("-f,--file", o->file, "Read the prompt from a file")->excludes("--prompt");
  c->add_option("--system", o->system, "The system message");
  c->add_flag("--raw", o->raw, "Continue the text; use no chat template");
  c->add_flag("--no-echo", o->no_echo, "When continuing a text, print only what is new");
  c->add_option("-t,--threads", o->threads, "Threads [one for each core]")
      ->check(CLI::Range(1, 1024));
  c->add_option("-c,--context", o->context, "Context in tokens [the model's, at most 4096]")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  c->add_option("--kv-type", o->kv_type, "Type of the KV cache [f16]")
      ->check(CLI::IsMember(kv_type_names()));
  c->add_option("--numerics", o->numerics,
                "Arithmetic: exact, or bf16-dot: F16 and BF16 weights faster, with other answers "
                "[exact]")
      ->check(CLI::IsMember({"exact", "bf16-dot"}));
  c->add_option("--policy", o->policy_file, "Policy file: the defaults of model and flags");
  c->add_flag("--json", o->json, "Print one JSON object instead of text");
  c->add_flag("--stats", o->stats, "Print statistics to standard error");
  add_sampling_flags(*c, o);
}

}  // namespace weir::cli
