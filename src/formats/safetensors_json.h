// The JSON parts of safetensors: the header of a file and the index of a sharded model. Read by
// events (no document tree), after json_guard bounded depth and tokens. Checks the form; whether
// offsets and sizes fit together is for the reader.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"
#include "formats/metadata.h"
#include "tensor/dtype.h"

namespace weir {

struct SafetensorsType {
  std::string_view name;
  std::optional<DType> type;  // nothing: the layout is known, but Weir does not read it
  int64_t bytes;              // of one element
};
inline constexpr std::array kSafetensorsTypes = {
    SafetensorsType{"F64", DType::f64, 8},       SafetensorsType{"F32", DType::f32, 4},
    SafetensorsType{"F16", DType::f16, 2},       SafetensorsType{"BF16", DType::bf16, 2},
    SafetensorsType{"I64", DType::i64, 8},       SafetensorsType{"I32", DType::i32, 4},
    SafetensorsType{"I16", DType::i16, 2},       SafetensorsType{"I8", DType::i8, 1},
    SafetensorsType{"U64", std::nullopt, 8},     SafetensorsType{"U32", std::nullopt, 4},
    SafetensorsType{"U16", std::nullopt, 2},     SafetensorsType{"U8", std::nullopt, 1},
    SafetensorsType{"BOOL", std::nullopt, 1},    SafetensorsType{"F8_E4M3", std::nullopt, 1},
    SafetensorsType{"F8_E5M2", std::nullopt, 1}, SafetensorsType{"F8_E8M0", std::nullopt, 1},
    SafetensorsType{"C64", std::nullopt, 8},
};

/// One tensor as the header describes it.
struct SafetensorsTensor {
  TensorEntry entry;  // name and dims (innermost first); no type and data yet
  const SafetensorsType* type = nullptr;
  uint64_t begin = 0;  // bytes, relative to the data section
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;  // order of the header
  MetadataBuilder notes;                   // __metadata__
};

/// Parses a header. Throws bad_format or limit_exceeded naming `source` and the tensor.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::string_view source);

/// Parses model.safetensors.index.json: tensor name → plain file name ending in .safetensors.
std::map<std::string, std::string> parse_safetensors_index(std::string_view text,
                                                           std::string_view source);

}  // namespace weir
