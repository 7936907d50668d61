// The type ids of GGUF files and the element types of Weir. Also knows the names of the types that
// exist in the world but not here, so that an error can say which one a file needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace weir {

/// Element type of a GGUF type id; nothing if Weir does not have it.
std::optional<DType> dtype_of_gguf(uint32_t id);

/// GGUF type id of an element type.
uint32_t gguf_id_of(DType type);

/// Name of any type id ever given out ("IQ2_XXS"); empty if the id is unknown.
std::string_view gguf_type_name(uint32_t id);

}  // namespace weir
