// Loading: configuration, weights, tokenizer, and how they fit.
#include "model/model.h"

#include <algorithm>
#include <chrono>

#include "base/checked.h"
#include "base/error.h"
#include "formats/open.h"
#include "model/decoder.h"
#include "model/read_config.h"

namespace weir {
namespace {

ModelSummary summarise(const Checkpoint& checkpoint, const TensorMap& tensors) {
  ModelSummary s;
  s.name = checkpoint.metadata().get_or<std::string>("general.name",
                                                     checkpoint.path().filename().string());
  s.format = checkpoint.format();
  s.parameters = checkpoint.parameters();
  s.file_bytes = static_cast<int64_t>(checkpoint.file_bytes());
  for (const TensorEntry& entry : checkpoint.tensors()) {
    auto it = std::find_if(s.types.begin(), s.types.end(),
                           [&](const TypeShare& share) { return share.type == entry.type; });
    if (it == s.types.end()) it = s.types.insert(it, {.type = entry.type});
    ++it->tensors;
    it->bytes += static_cast<int64_t>(entry.data.size());
  }
  std::stable_sort(s.types.begin(), s.types.end(),
                   [](const TypeShare& a, const TypeShare& b) { return a.bytes > b.bytes; });
  s.unused = tensors.unused();
  s.copied_bytes = tensors.copied_bytes();
  return s;
}

}  // namespace

std::shared_ptr<const Model> Model::load(const std::filesystem::path& path) {
  const auto start = std::chrono::steady_clock::now();
  const std::shared_ptr<Model> model(new Model(open_checkpoint(path)));
  model->set_load_seconds(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return model;
}

std::shared_ptr<const Model> Model::from(Checkpoint checkpoint) {
  return std::shared_ptr<const Model>(new Model(std::move(checkpoint)));
}

Model::Model(Checkpoint checkpoint)
    : checkpoint_(std::move(checkpoint)),
      config_(read_config(checkpoint_)),
      tensors_(TensorMap::from(checkpoint_, config_)),
      weights_(bind_weights(tensors_, config_)),
      tokenizer_(read_tokenizer(checkpoint_)),
      chat_template_(read_chat_template(checkpoint_)),
      summary_(summarise(checkpoint_, tensors_)) {
  if (tokenizer_ != nullptr && tokenizer_->vocab_size() > config_.vocabulary)
    fail(
        Code::bad_format,
        "the tokenizer has {} tokens, the embedding only {} rows; the files do not belong together",
        tokenizer_->vocab_size(), config_.vocabulary);
}

MemoryEstimate Model::memory(int64_t context, DType kv_type, int64_t chunk) const {
  const KvLayout layout = Decoder::kv_layout(config_, kv_type);
  const auto page = static_cast<int64_t>(layout.page_bytes());
  const auto kv =
      context < 1 ? std::nullopt : checked_mul(div_up(context, kernels::kPageTokens), page);
  if (!kv || chunk < 1 || chunk > 65536)
    fail(Code::invalid_argument, "memory of {} tokens in chunks of {} cannot be counted", context,
         chunk);
  MemoryEstimate estimate;
  estimate.weights = static_cast<int64_t>(checkpoint_.tensor_bytes()) + summary_.copied_bytes;
  estimate.kv_cache = *kv;
  estimate.workspace = Decoder::workspace_bytes(config_, chunk) + 4 * config_.vocabulary;
  return estimate;
}

}  // namespace weir
