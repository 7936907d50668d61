// weir serve: models behind the HTTP interfaces that clients already speak, until a signal says
// stop.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>

#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "engine/registry.h"
#include "lab/benchmark.h"
#include "lab/ceilings.h"
#include "lab/embedded_model.h"
#include "lab/policy.h"
#include "server/http_server.h"
#include "server/parameters.h"
#include "server/serve_options.h"

namespace weir::cli {
namespace {

constexpr int64_t kBatch = 8;  // requests at the same time, unless said
constexpr timespec kLook{0, 50'000'000};
constexpr size_t kProbeBytes = size_t{96} << 20;
constexpr double kHurrySeconds = 0.9;  // from the second signal to the end

using Texts = std::map<std::string, std::vector<std::string>>;

struct Options {
  std::string model, policy_file;
  std::vector<std::string> named;  // NAME=PATH
  Texts runtime_texts, serve_texts;
  bool print_reference = false;
  Policy policy;
  ServeOptions serve;
};

/// The file's name as a name of the registry.
std::string name_of(const std::filesystem::path& path) {
  std::string name =
      path.has_extension() && path.extension() == ".gguf" ? path.stem() : path.filename();
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::string_view("._-").find(c) == std::string_view::npos)
      c = '-';
  return name.empty() || name.front() == '.' ? "model" + name : name;
}

std::vector<ModelSource> sources_of(const Options& o) {
  std::vector<ModelSource> sources;
  const std::string first = o.model.empty() ? o.policy.model.path : o.model;
  const bool only_others = first.empty() && (!o.named.empty() || !o.serve.models.empty());
  if (!only_others) {
    ModelSource source;
    source.path = first;
    source.pinned = true;
    source.name = !o.policy.model.name.empty() ? o.policy.model.name
                  : first.empty()              ? kEmbeddedModelName
                                  : name_of(std::filesystem::path(first).lexically_normal());
    sources.push_back(std::move(source));
  }
  for (const std::string& text : o.named) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      fail(Code::invalid_argument, "--model takes NAME=PATH, but got '{}'", text);
    sources.push_back({text.substr(0, equals), text.substr(equals + 1), false});
  }
  return sources;
}

NativeOptions native_of(const Options& o) {
  NativeOptions native;
  native.max_batch = kBatch;
  return apply_runtime(o.policy.runtime, native);
}

/// Opens a model, says what it will take, and makes its engine when there is room.
PlannedModel open_planned(const ModelSource& source, NativeOptions native,
                          const RuntimePolicy& policy, uint64_t budget, EventLog& log) {
  // One engine holds a cache folder; the word before the name keeps ".." a plain name.
  if (!native.cache_folder.empty()) native.cache_folder += "/model-" + source.name;
  const auto model = open_model(source.path.string());
  Fitted fitted = fit_memory(policy, *model, std::move(native), budget);
  native = std::move(fitted.options);
  if (!fitted.said.empty())
    log.write("warning", "smaller settings", {{"model", source.name}, {"detail", fitted.said}});
  PlannedModel planned;
  const auto type = dtype_by_name(native.kv_type);
  const int64_t context = native.context_length > 0
                              ? native.context_length
                              : std::min(model->config().context, kDefaultContext);
  const MemoryEstimate one =
      model->memory(context, type.value_or(DType::f16), native.prefill_chunk);
  planned.plan.weights = one.weights;
  planned.plan.workspace = one.workspace;
  planned.plan.bytes_per_token = token_work(*model).bytes;
  planned.plan.kv_cache =
      static_cast<int64_t>(planned_memory(*model, native)) - one.weights - one.workspace;
  planned.start = [model, native] { return make_native_engine(model, native); };
  return planned;
}

std::vector<std::string> keys_of(const ServeOptions& serve) {
  std::vector<std::string> keys;
  if (!serve.key_file.empty()) {
    keys = keys_in_file(read_file(serve.key_file, uint64_t{1} << 20));
    if (keys.empty())
      fail(Code::invalid_argument, "{} holds no key, expected one a line", serve.key_file);
  }
  if (const char* list = std::getenv("WEIR_API_KEYS"))
    for (std::string& key : keys_in_list(list)) keys.push_back(std::move(key));
  return keys;
}

std::function<void(std::string_view)> log_sink(const std::string& format) {
  if (format == "off") return nullptr;
  if (format != "text" && format != "json")
    fail(Code::invalid_argument, "--log must be text, json or off, but got '{}'", format);
  return [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); };
}

void show_start(const Options& o, const HttpServer& server, ModelRegistry& registry, int64_t budget,
                bool has_keys) {
  const auto gb = [](int64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  const std::string host =
      o.serve.host.find(':') == std::string::npos ? o.serve.host : "[" + o.serve.host + "]";
  std::string text = fmt::format("Weir serves at http://{}:{}\n", host, server.port());
  for (const ModelStatus& model : registry.list()) {
    if (!model.loaded) {
      text += fmt::format("  model    {}: loaded when asked for\n", model.name);
      continue;
    }
    const Capabilities& can = *model.capabilities;
    const double rate =
        measure_read_bandwidth(can.threads, kProbeBytes, 3) / model.plan.bytes_per_token;
    text += fmt::format(
        "  model    {}: context {} tokens{}\n"
        "  memory   {} of {}: weights {}, KV cache {}, working {}\n"
        "  compute  {} with {} threads; memory lets one stream make up to {:.{}f} tokens/s\n",
        model.name, can.context_length, can.chat_template ? "" : ", no chat template",
        gb(model.plan.total()), gb(budget), gb(model.plan.weights), gb(model.plan.kv_cache),
        gb(model.plan.workspace), can.isa, can.threads, rate, rate < 10 ? 1 : 0);
  }
  text += fmt::format("  access   {}\n", has_keys ? "with an API key"
                                                  : "without a key, for who can reach the address");
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

/// The first signal lets running answers end, the second does not.
int wait_and_drain(HttpServer& server, EventLog& log, double seconds, const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) continue;
  log.write("info", "draining", {{"seconds", seconds}});
  auto drained = std::async(std::launch::async, [&] { server.drain(seconds); });
  const auto is_done = [](const auto& future, double wait) {
    return future.wait_for(std::chrono::duration<double>(wait)) == std::future_status::ready;
  };
  while (!is_done(drained, 0)) {
    if (sigtimedwait(&signals, nullptr, &kLook) < 0) continue;
    log.write("warning", "hurrying", {});
    const auto hurried = std::async(std::launch::async, [&] { server.drain(0); });
    if (is_done(hurried, kHurrySeconds) && is_done(drained, 0.05)) break;
    std::_Exit(kSuccess);
  }
  log.write("info", "stopped", {});
  return kSuccess;
}

/// Signals are for the thread that waits for them; every thread made later inherits that.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int run(Options o) {
  if (o.print_reference) {
    std::fputs(api_reference().c_str(), stdout);
    return kSuccess;
  }
  if (!o.policy_file.empty()) o.policy = load_policy(o.policy_file);
  for (const auto& [name, texts] : o.runtime_texts)
    runtime_policy_options().set_text(o.policy.runtime, name, texts);
  for (const auto& [name, texts] : o.serve_texts) serve_options().set_text(o.serve, name, texts);
  const std::vector<std::string> keys = keys_of(o.serve);
  check_exposure(o.serve, !keys.empty());
  EventLog log(o.serve.log == "json" ? LogFormat::json : LogFormat::text, log_sink(o.serve.log));
  KeyRing ring(keys);
  if (o.model.empty()) verify_audit(o.policy, default_audit_memory());
  allow_many_files();
  const sigset_t signals = block_signals();

  const auto memory = o.policy.runtime.memory_bytes();
  RegistryOptions registry_options;
  registry_options.memory_bytes =
      memory ? static_cast<int64_t>(*memory) : machine_info().memory_available_bytes;
  registry_options.keep_alive_seconds = o.serve.keep_alive;
  registry_options.folder = o.serve.models;
  NativeOptions native = native_of(o);
  native.cache_notice = [&log](const std::string& text) {
    log.write("warning", "prefix cache", {{"detail", text}});
  };
  ModelRegistry registry(
      sources_of(o),
      [native, &o, &log,
       budget = static_cast<uint64_t>(registry_options.memory_bytes)](const ModelSource& source) {
        return open_planned(source, native, o.policy.runtime, budget, log);
      },
      registry_options);
  for (const ModelStatus& model : registry.list())
    if (model.pinned) registry.acquire(model.name);

  HostPolicy hosts{o.serve.allow_host, o.serve.allow_origin};
  for (std::string& name : hosts.names)
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Metrics metrics;
  Service service(registry, metrics, log, std::move(ring), std::move(hosts), server_limits(o.serve),
                  WEIR_VERSION);
  service.defaults = o.policy.generation;
  ListenOptions listen;
  listen.host = o.serve.host;
  listen.port = static_cast<uint16_t>(o.serve.port);
  HttpServer server(listen, service);
  show_start(o, server, registry, registry_options.memory_bytes, !keys.empty());
  return wait_and_drain(server, log, o.serve.drain, signals);
}

/// One flag for each option of a table.
void add_flags(CLI::App& app, std::span<const OptionInfo> infos, Texts& texts,
               const std::string& group) {
  for (const OptionInfo& info : infos) {
    std::string names = "--" + info.flag;
    if (info.name == "batch" || info.name == "queue") names += ",--max-" + info.name;
    const std::string help =
        info.help + (info.default_text.empty() ? "" : " [" + info.default_text + "]");
    const std::string name = info.name;
    if (info.type == OptionType::boolean)
      app.add_flag_callback(
             names, [&texts, name] { texts[name] = {"true"}; }, help)
          ->group(group);
    else
      app.add_option_function<std::vector<std::string>>(
             names,
             [&texts, name](const std::vector<std::string>& values) { texts[name] = values; }, help)
          ->group(group)
          ->take_all()
          ->allow_extra_args(false)
          ->type_name("VALUE");
  }
}

}  // namespace

void add_serve(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* c = commands.add("serve", "Serve models over HTTP, for OpenAI and Ollama clients",
                             [o] { return run(*o); });
  c->add_option("MODEL", o->model, "GGUF file or Hugging Face folder [the embedded model]");
  c->add_option("--model", o->named, "NAME=PATH: one more model, loaded when asked for")
      ->allow_extra_args(false);
  c->add_option("--policy", o->policy_file, "Policy file: the defaults of model and flags");
  c->add_flag("--print-api-reference", o->print_reference, "Print docs/api.md and leave");
  add_flags(*c, serve_options().infos(), o->serve_texts, "Server");
  add_flags(*c, runtime_policy_options().infos(), o->runtime_texts, "Engine");
}

}  // namespace weir::cli
