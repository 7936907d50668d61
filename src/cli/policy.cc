// weir policy check: whether a policy file is right, and what it says, before anything runs on it.
#include <cstdio>

#include "cli/command.h"
#include "lab/policy.h"

namespace weir::cli {
namespace {

struct Options {
  std::string file;
  bool no_audit = false;
};

std::string audit_text(const Policy& policy, bool skipped) {
  if (skipped) return "not compared";
  ProgressBar bar;
  switch (verify_audit(policy, default_audit_memory(),
                       [&bar](double fraction) { bar.show(fraction, "reading the model"); })) {
    case Audit::nothing_stated:
      return "no size or SHA-256 stated";
    case Audit::matches:
      return "the model file matches";
    case Audit::matched_before:
      return "the model file matches (unchanged since it was read)";
  }
  return "";
}

int check(const Options& o) {
  const Policy policy = load_policy(o.file);
  const RuntimePolicy& runtime = policy.runtime;
  const NativeOptions native = apply_runtime(runtime, {});
  const auto or_default = [](int64_t value, const char* text) {
    return value == 0 ? std::string(text) : fmt::format("{}", value);
  };
  const auto memory = runtime.memory_bytes();
  const std::string audit = audit_text(policy, o.no_audit);
  std::string text = fmt::format(
      "{} is a valid policy\n"
      "  engine   {}\n"
      "  model    {}{}\n"
      "  runtime  threads {}, context {}, KV type {}, numerics {}, batch {}, memory {}\n"
      "  audit    {}\n",
      o.file, policy.engine.name, policy.model.path.empty() ? "embedded" : policy.model.path,
      policy.model.name.empty() ? "" : " as " + policy.model.name,
      or_default(native.threads, "one for each core"),
      or_default(native.context_length, "the model's"), native.kv_type, native.numerics,
      native.max_batch, memory ? human_bytes(static_cast<double>(*memory)) : "unlimited", audit);
  std::fputs(text.c_str(), stdout);
  return kSuccess;
}

}  // namespace

void add_policy(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* policy = commands.app.add_subcommand("policy", "Work with policy files");
  policy->require_subcommand(1);
  CLI::App* c = policy->add_subcommand(
      "check", "Check a policy file, and the model it names against size and SHA-256");
  c->callback([&commands, o] { commands.chosen = [o] { return check(*o); }; });
  c->add_option("FILE", o->file, "Policy file (deploy/policy.example.yaml shows all keys)")
      ->required();
  c->add_flag("--no-audit", o->no_audit, "Do not read the model file");
}

}  // namespace weir::cli
