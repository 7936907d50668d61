// The small model inside the program (models/pocket.gguf), for `weir run` without a file and for
// the self-test.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "model/model.h"

namespace weir {

inline constexpr const char* kEmbeddedModelName = "pocket";

/// The file's bytes, aligned to 64, for the life of the program.
std::span<const std::byte> embedded_model_bytes();

std::shared_ptr<const Model> load_embedded_model();

}  // namespace weir
