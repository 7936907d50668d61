#include "lab/embedded_model.h"

#include "formats/gguf.h"

extern "C" {
// Defined in embedded_model.S.
extern const std::byte weir_embedded_model[];
extern const std::byte weir_embedded_model_end[];
}

namespace weir {

std::span<const std::byte> embedded_model_bytes() {
  return {weir_embedded_model, static_cast<size_t>(weir_embedded_model_end - weir_embedded_model)};
}

std::shared_ptr<const Model> load_embedded_model() {
  return Model::from(read_gguf(embedded_model_bytes(), kEmbeddedModelName));
}

}  // namespace weir
