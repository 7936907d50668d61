#include "lab/policy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/native_limits.h"
#include "lab/yaml_tree.h"

namespace weir {
namespace {

constexpr size_t kMaxPathBytes = 4096;
constexpr size_t kMaxTextBytes = 1024;
constexpr size_t kMaxMetadata = 256;  // keys
constexpr std::array<std::string_view, 6> kSections = {"engine",  "model", "generation",
                                                       "runtime", "audit", "metadata"};

OptionRange between(double minimum, double maximum) {
  OptionRange range;
  range.minimum = minimum;
  range.maximum = maximum;
  return range;
}

OptionRange bytes_at_most(size_t bytes) {
  OptionRange range;
  range.max_bytes = bytes;
  return range;
}

OptionRange one_of(std::vector<std::string> words) {
  OptionRange range;
  range.words = std::move(words);
  return range;
}

std::string line_of(const Policy& policy, int line) {
  return fmt::format("{}:{}", policy.file, line);
}

const YamlNode::Map& map_of(const Policy& policy, std::string_view section, const YamlNode& node) {
  static const YamlNode::Map kEmpty;
  if (const auto* map = std::get_if<YamlNode::Map>(&node.value)) return *map;
  const auto* scalar = std::get_if<YamlNode::Scalar>(&node.value);
  if (scalar != nullptr && !scalar->quoted && scalar->text.empty()) return kEmpty;  // "audit:"
  fail(Code::invalid_argument, "{}: {} must have keys and values below it",
       line_of(policy, node.line),
       section.empty() ? "a policy" : fmt::format("section '{}'", section));
}

/// Throws what `set` throws, with file, line and section before it.
template <typename Set>
void with_line(const Policy& policy, std::string_view section, int line, Set&& set) {
  try {
    set();
  } catch (const Error& error) {
    fail(error.code(), "{}: in section '{}': {}", line_of(policy, line), section, error.what());
  }
}

template <typename S>
void read_section(const Policy& policy, std::string_view section, const YamlNode& node, S& target,
                  const OptionTable<S>& table) {
  std::map<std::string, int> seen;  // option -> line: two spellings of one name are one option
  for (const YamlMember& member : map_of(policy, section, node)) {
    with_line(policy, section, member.line, [&] {
      const OptionInfo& info = table.info(member.key);
      const auto [before, is_new] = seen.emplace(info.name, member.line);
      if (!is_new)
        fail(Code::invalid_argument, "option '{}' was set before, in line {}", info.name,
             before->second);
      table.set(target, member.key, yaml_value(member.node, info.type));
    });
  }
}

/// Checks a field that has more rules than its table knows, where it was written.
template <typename Check>
void check_field(const Policy& policy, std::string_view section, const YamlNode& node,
                 std::string_view key, Check&& check) {
  for (const YamlMember& member : map_of(policy, section, node))
    if (option_check::same_name(member.key, key)) with_line(policy, section, member.line, check);
}

void check_sha256(const std::string& text) {
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    fail(Code::invalid_argument,
         "option 'sha256' must be 64 hexadecimal digits, as sha256sum prints, but got {} "
         "characters",
         text.size());
}

void read_metadata(Policy& policy, const YamlNode& node) {
  const YamlNode::Map& map = map_of(policy, "metadata", node);
  if (map.size() > kMaxMetadata)
    fail(Code::limit_exceeded, "{}: section 'metadata' has {} keys, the limit is {}",
         line_of(policy, node.line), map.size(), kMaxMetadata);
  for (const YamlMember& member : map) {
    const auto* scalar = std::get_if<YamlNode::Scalar>(&member.node.value);
    with_line(policy, "metadata", member.line, [&] {
      if (scalar == nullptr || scalar->text.size() > kMaxTextBytes ||
          member.key.size() > kMaxTextBytes)
        fail(Code::invalid_argument, "values are single texts of at most {} bytes", kMaxTextBytes);
    });
    policy.metadata[member.key] = scalar->text;
  }
}

void read_member(Policy& policy, const YamlMember& member) {
  const YamlNode& node = member.node;
  if (member.key == "engine") {
    read_section(policy, "engine", node, policy.engine, engine_policy_options());
  } else if (member.key == "model") {
    read_section(policy, "model", node, policy.model, model_policy_options());
  } else if (member.key == "generation") {
    read_section(policy, "generation", node, policy.generation, sampling_options());
  } else if (member.key == "runtime") {
    read_section(policy, "runtime", node, policy.runtime, runtime_policy_options());
    check_field(policy, "runtime", node, "memory", [&] { policy.runtime.memory_bytes(); });
    check_field(policy, "runtime", node, "cache_size", [&] { policy.runtime.cache_bytes(); });
  } else if (member.key == "audit") {
    read_section(policy, "audit", node, policy.audit, audit_policy_options());
    check_field(policy, "audit", node, "sha256", [&] { check_sha256(policy.audit.sha256); });
  } else if (member.key == "metadata") {
    read_metadata(policy, node);
  } else {
    const std::vector<std::string> names(kSections.begin(), kSections.end());
    const auto near = nearest_name(member.key, names);
    fail(Code::invalid_argument, "{}: unknown section '{}'; {}", line_of(policy, member.line),
         member.key.substr(0, 64),
         near ? fmt::format("did you mean '{}'?", *near)
              : fmt::format("the sections are: {}", fmt::join(names, ", ")));
  }
}

}  // namespace

std::optional<uint64_t> RuntimePolicy::memory_bytes() const {
  if (memory.empty()) return std::nullopt;
  return parse_byte_size(memory);
}

std::optional<uint64_t> RuntimePolicy::cache_bytes() const {
  if (cache_size.empty()) return std::nullopt;
  return parse_byte_size(cache_size);
}

std::optional<uint64_t> RuntimePolicy::swap_bytes() const {
  if (swap_size.empty()) return std::nullopt;
  return parse_byte_size(swap_size);
}

const OptionTable<EnginePolicy>& engine_policy_options() {
  static const OptionTable<EnginePolicy> kTable = [] {
    OptionTable<EnginePolicy> table;
    table.add({"name"}, &EnginePolicy::name, one_of({"native"}), "Which engine runs the model");
    return table;
  }();
  return kTable;
}

const OptionTable<ModelPolicy>& model_policy_options() {
  using S = ModelPolicy;
  static const OptionTable<S> kTable = [] {
    OptionTable<S> table;
    table.add({"path"}, &S::path, bytes_at_most(kMaxPathBytes),
              "GGUF file or Hugging Face folder, relative to this file; none: the embedded model");
    table.add({"name"}, &S::name, bytes_at_most(256), "Name that clients see [from the file]");
    return table;
  }();
  return kTable;
}

const OptionTable<RuntimePolicy>& runtime_policy_options() {
  using S = RuntimePolicy;
  static const OptionTable<S> kTable = [] {
    OptionTable<S> table;
    table.add({"threads"}, &S::threads, between(0, 1024), "Threads; 0: one for each core");
    table.add({"context"}, &S::context, between(0, 1 << 24),
              "Context in tokens; 0: the model's, at most 4096");
    table.add({"kv_type"}, &S::kv_type, one_of(kv_type_names()), "Type of the KV cache");
    table.add({"numerics"}, &S::numerics, one_of({"exact", "bf16-dot"}),
              "Arithmetic; bf16-dot: F16 and BF16 weights faster, with other answers");
    table.add({"memory"}, &S::memory, bytes_at_most(32),
              "Budget for weights, KV cache and scratch, like 6GiB; more is refused at the start");
    table.add({"batch"}, &S::batch, between(0, 1024), "Requests that run at the same time");
    table.add({"queue"}, &S::queue, between(0, 1 << 20), "Requests that wait; more are refused");
    table.add({"kv_tokens"}, &S::kv_tokens, between(0, 1 << 30),
              "Places in the KV cache for all requests together; 0: context times batch");
    table.add({"swap_size"}, &S::swap_size, bytes_at_most(32),
              "Memory for KV pages that others need, like 1GiB; none: they are computed again");
    table.add({"fit"}, &S::fit, {},
              "Where memory does not suffice, take F16 keys and values, then a shorter context");
    table.add({"cache_folder"}, &S::cache_folder, bytes_at_most(kMaxPathBytes),
              "Folder where a server keeps the KV pages of prompts over restarts; none: not kept");
    table.add({"cache_size"}, &S::cache_size, bytes_at_most(32),
              "Most bytes there for each model, like 4GiB");
    return table;
  }();
  return kTable;
}

const OptionTable<AuditPolicy>& audit_policy_options() {
  using S = AuditPolicy;
  static const OptionTable<S> kTable = [] {
    OptionTable<S> table;
    table.add({"version"}, &S::version, bytes_at_most(kMaxTextBytes), "Version of the model");
    table.add({"source"}, &S::source, bytes_at_most(kMaxTextBytes), "Where the model came from");
    table.add({"size"}, &S::size, {}, "Bytes of the model file; another size is refused");
    table.add({"sha256"}, &S::sha256, bytes_at_most(64),
              "SHA-256 of the model file; other bytes are refused");
    return table;
  }();
  return kTable;
}

uint64_t parse_byte_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, uint64_t>, 10> kUnits = {
      {{"", 1},
       {"B", 1},
       {"kB", 1000},
       {"MB", 1000'000},
       {"GB", 1000'000'000},
       {"TB", 1000'000'000'000},
       {"KiB", uint64_t{1} << 10},
       {"MiB", uint64_t{1} << 20},
       {"GiB", uint64_t{1} << 30},
       {"TiB", uint64_t{1} << 40}}};
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  std::string_view unit(last, static_cast<size_t>(end - last));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const auto found = std::find_if(kUnits.begin(), kUnits.end(),
                                  [unit](const auto& entry) { return entry.first == unit; });
  const double bytes =
      found == kUnits.end() ? -1 : std::floor(number * static_cast<double>(found->second));
  if (error != std::errc() || !(bytes >= 0 && bytes < 0x1p53))
    fail(Code::invalid_argument,
         "a size must be a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB (like 6GiB), but "
         "got '{}'",
         text.substr(0, 40));
  return static_cast<uint64_t>(bytes);
}

Policy parse_policy(std::string_view yaml, const std::string& file) {
  Policy policy;
  policy.file = file;
  const YamlNode root = parse_yaml(yaml, file);
  for (const YamlMember& member : map_of(policy, "", root)) read_member(policy, member);
  if (policy.model.path.empty() && (policy.audit.size || !policy.audit.sha256.empty()))
    fail(Code::invalid_argument,
         "{}: section 'audit' states the model's bytes, but 'model' has no path", file);
  return policy;
}

Policy load_policy(const std::filesystem::path& path) {
  Policy policy = parse_policy(read_file(path, kMaxYamlBytes), path.string());
  const auto resolve = [&path](std::string& part) {
    if (!part.empty()) part = (path.parent_path() / part).string();
  };
  resolve(policy.model.path);
  resolve(policy.runtime.cache_folder);
  return policy;
}

NativeOptions apply_runtime(const RuntimePolicy& policy, NativeOptions options) {
  if (policy.threads != 0) options.threads = policy.threads;
  if (policy.context != 0) options.context_length = policy.context;
  if (!policy.kv_type.empty()) options.kv_type = policy.kv_type;
  if (!policy.numerics.empty()) options.numerics = policy.numerics;
  if (policy.batch != 0) options.max_batch = policy.batch;
  if (policy.queue != 0) options.max_queue = policy.queue;
  if (policy.kv_tokens != 0) options.kv_tokens = policy.kv_tokens;
  if (const auto bytes = policy.swap_bytes()) options.swap_bytes = static_cast<int64_t>(*bytes);
  if (!policy.cache_folder.empty()) options.cache_folder = policy.cache_folder;
  if (const auto bytes = policy.cache_bytes()) options.cache_bytes = static_cast<int64_t>(*bytes);
  return options;
}

uint64_t planned_memory(const Model& model, const NativeOptions& options) {
  const auto type = dtype_by_name(options.kv_type);
  if (!type) fail(Code::invalid_argument, "'{}' is no type of the KV cache", options.kv_type);
  const int64_t context = options.context_length != 0
                              ? options.context_length
                              : std::min<int64_t>(model.config().context, kDefaultContext);
  const auto shared = checked_mul(context, options.max_batch);
  if (!shared) fail(Code::limit_exceeded, "context times batch is beyond any memory");
  const int64_t tokens = options.kv_tokens != 0 ? options.kv_tokens : *shared;
  return static_cast<uint64_t>(model.memory(tokens, *type, options.prefill_chunk).total() +
                               options.swap_bytes);
}

Fitted fit_memory(const RuntimePolicy& policy, const Model& model, NativeOptions options,
                  uint64_t budget) {
  constexpr int64_t kShortest = 512;
  Fitted fitted{std::move(options), ""};
  NativeOptions& o = fitted.options;
  if (!policy.fit || planned_memory(model, o) <= budget) return fitted;
  const std::string type = o.kv_type;
  if (o.kv_type == "f32") o.kv_type = "f16";
  if (o.context_length == 0)
    o.context_length = std::min<int64_t>(model.config().context, kDefaultContext);
  const int64_t wanted = o.context_length;
  while (planned_memory(model, o) > budget && o.context_length > kShortest)
    o.context_length = std::max(kShortest, o.context_length / 2);
  fitted.said = fmt::format("to fit in {:.1f} MB: context {} of {} tokens, KV cache {}",
                            static_cast<double>(budget) / 1e6, o.context_length, wanted, o.kv_type);
  return fitted;
}

void check_memory_budget(const RuntimePolicy& policy, const Model& model,
                         const NativeOptions& options) {
  const auto budget = policy.memory_bytes();
  if (!budget) return;
  const uint64_t planned = planned_memory(model, options);
  if (planned <= *budget) return;
  fail(Code::limit_exceeded,
       "the model would use {:.3f} GB of memory, the policy's budget (runtime: memory) is {:.3f} "
       "GB; choose a smaller context, batch, kv_type or model",
       static_cast<double>(planned) / 1e9, static_cast<double>(*budget) / 1e9);
}

}  // namespace weir
