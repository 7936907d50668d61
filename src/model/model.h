// A loaded model: configuration, weights, tokenizer, chat template. Immutable, shared by any number
// of decoders. Owns the mappings that the weights lie in; refuses to compute.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/tensor_map.h"
#include "model/weights.h"
#include "text/tokenizer.h"

namespace weir {

/// Tensors of one type.
struct TypeShare {
  DType type = DType::f32;
  int64_t tensors = 0;
  int64_t bytes = 0;
};

/// What a model needs at a context length, in bytes. Weights lie in the file's mapping and are
/// shared with every process that maps it.
struct MemoryEstimate {
  int64_t weights = 0;
  int64_t kv_cache = 0;
  int64_t workspace = 0;
  int64_t total() const { return weights + kv_cache + workspace; }
};

/// What `weir info` shows beside the configuration.
struct ModelSummary {
  std::string name;    // as the file says, or the file's name
  std::string format;  // "GGUF v3"
  int64_t parameters = 0;
  int64_t file_bytes = 0;
  std::vector<TypeShare> types;     // most bytes first
  std::vector<std::string> unused;  // tensors that this decoder does not read
  double load_seconds = 0;          // from open to ready
  int64_t copied_bytes = 0;         // weights that had to be laid out anew
};

class Model {
 public:
  /// Opens a GGUF file, a safetensors file or a Hugging Face directory. Throws what
  /// open_checkpoint() throws; unsupported (family, feature), bad_format (sizes that do not fit).
  static std::shared_ptr<const Model> load(const std::filesystem::path& path);
  static std::shared_ptr<const Model> from(Checkpoint checkpoint);

  const DecoderConfig& config() const { return config_; }
  const DecoderWeights& weights() const { return weights_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const Metadata& metadata() const { return checkpoint_.metadata(); }
  const ModelSummary& summary() const { return summary_; }
  const std::filesystem::path& path() const { return checkpoint_.path(); }

  /// Throws io if a file of the model has lost bytes since it was opened.
  void check_intact() const {
    for (const auto& file : checkpoint_.files()) file->check_intact();
  }

  /// Null if the file has none: such a model works on token ids only.
  const std::shared_ptr<const Tokenizer>& tokenizer() const { return tokenizer_; }
  /// Jinja source, empty if the file has none.
  const std::string& chat_template() const { return chat_template_; }

  /// For `context` tokens of one sequence, KV elements of `kv_type`, `chunk` tokens a pass. Throws
  /// invalid_argument if the context is not positive or too large to count.
  MemoryEstimate memory(int64_t context, DType kv_type, int64_t chunk) const;

 private:
  explicit Model(Checkpoint checkpoint);
  void set_load_seconds(double seconds) { summary_.load_seconds = seconds; }

  Checkpoint checkpoint_;
  DecoderConfig config_;
  TensorMap tensors_;
  DecoderWeights weights_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string chat_template_;
  ModelSummary summary_;
};

/// The tokenizer of a checkpoint (GGUF keys or tokenizer.json) and its chat template's source;
/// null and empty if there is none.
std::shared_ptr<const Tokenizer> read_tokenizer(const Checkpoint& checkpoint);
std::string read_chat_template(const Checkpoint& checkpoint);

}  // namespace weir
