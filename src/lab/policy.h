// Policy files: one YAML file that says which model runs, how it answers, what it may use of the
// machine, and which bytes were approved. Owns the sections and their options; refuses unknown keys
// (with the nearest name), wrong types and values out of range, each with its line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/options.h"
#include "decoding/sampling_params.h"
#include "engine/engine.h"
#include "model/model.h"

namespace weir {

struct EnginePolicy {
  std::string name = "native";
};

struct ModelPolicy {
  std::string path;  // relative to the policy's folder; empty: the embedded model
  std::string name;  // as clients see it; empty: from the file
};

/// Zero and empty mean: chosen by Weir.
struct RuntimePolicy {
  int32_t threads = 0;
  int32_t context = 0;  // tokens
  std::string kv_type;
  std::string numerics;
  std::string memory;     // budget for weights, KV pages and scratch: "6GiB"
  int32_t batch = 0;      // requests that run at the same time
  int32_t queue = 0;      // requests that wait
  int32_t kv_tokens = 0;  // places in the KV cache for all requests together
  std::string swap_size;  // "1GiB"
  bool fit = false;       // smaller settings rather than a refusal
  std::string cache_folder;
  std::string cache_size;  // "4GiB"

  std::optional<uint64_t> memory_bytes() const;
  std::optional<uint64_t> cache_bytes() const;
  std::optional<uint64_t> swap_bytes() const;
};

struct AuditPolicy {
  std::string version;
  std::string source;
  std::optional<uint64_t> size;  // bytes
  std::string sha256;            // 64 hexadecimal digits
};

struct Policy {
  std::string file;  // for messages
  EnginePolicy engine;
  ModelPolicy model;
  SamplingParams generation;
  RuntimePolicy runtime;
  AuditPolicy audit;
  std::map<std::string, std::string> metadata;  // free keys, for people
};

// The options of each section but `generation`, which has sampling_options().
const OptionTable<EnginePolicy>& engine_policy_options();
const OptionTable<ModelPolicy>& model_policy_options();
const OptionTable<RuntimePolicy>& runtime_policy_options();
const OptionTable<AuditPolicy>& audit_policy_options();

/// "6GiB", "500 MB" or "4096" as bytes. Throws invalid_argument.
uint64_t parse_byte_size(std::string_view text);

/// Throws bad_format, limit_exceeded or invalid_argument; `file` names the text in messages.
Policy parse_policy(std::string_view yaml, const std::string& file);

/// The same from a file; model.path is then usable from the current folder.
Policy load_policy(const std::filesystem::path& path);

/// `options` with what the policy says.
NativeOptions apply_runtime(const RuntimePolicy& policy, NativeOptions options);

/// Bytes that an engine over `model` takes: weights, KV pages, scratch, swap space.
uint64_t planned_memory(const Model& model, const NativeOptions& options);

/// With `policy.fit`, smaller settings whose plan is within `budget`, as far as that helps: F16
/// keys and values, then half the context again and again, down to 512 tokens. `said` is a sentence
/// about what was given up, or empty.
struct Fitted {
  NativeOptions options;
  std::string said;
};
Fitted fit_memory(const RuntimePolicy& policy, const Model& model, NativeOptions options,
                  uint64_t budget);

/// Throws limit_exceeded with both numbers if that is above the policy's budget.
void check_memory_budget(const RuntimePolicy& policy, const Model& model,
                         const NativeOptions& options);

/// What verify_audit() did.
enum class Audit { nothing_stated, matches, matched_before };

/// Compares the model file with the size and SHA-256 that the policy states. A file that matched
/// before is recognised in `memory_file` by path, inode, size and times, and not read again; pass
/// an empty path to read it always. Throws invalid_argument if the bytes are others.
Audit verify_audit(const Policy& policy, const std::filesystem::path& memory_file,
                   const std::function<void(double fraction)>& progress = nullptr);

/// Where verified files are remembered: in the user's cache folder. Empty if there is none.
std::filesystem::path default_audit_memory();

}  // namespace weir
