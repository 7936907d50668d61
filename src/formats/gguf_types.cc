// The table of GGUF type ids. Source: the ggml_type list of the GGUF specification and its later
// additions.
#include "formats/gguf_types.h"

#include <array>

#include "base/error.h"

namespace weir {
namespace {

struct GgufType {
  std::string_view name;
  std::optional<DType> type = std::nullopt;
};

constexpr std::array kTypes = {
    GgufType{"F32", DType::f32},         // 0
    GgufType{"F16", DType::f16},         // 1
    GgufType{"Q4_0", DType::q4_0},       // 2
    GgufType{"Q4_1", DType::q4_1},       // 3
    GgufType{"Q4_2 (withdrawn)"},        // 4
    GgufType{"Q4_3 (withdrawn)"},        // 5
    GgufType{"Q5_0", DType::q5_0},       // 6
    GgufType{"Q5_1", DType::q5_1},       // 7
    GgufType{"Q8_0", DType::q8_0},       // 8
    GgufType{"Q8_1"},                    // 9
    GgufType{"Q2_K", DType::q2_k},       // 10
    GgufType{"Q3_K", DType::q3_k},       // 11
    GgufType{"Q4_K", DType::q4_k},       // 12
    GgufType{"Q5_K", DType::q5_k},       // 13
    GgufType{"Q6_K", DType::q6_k},       // 14
    GgufType{"Q8_K"},                    // 15
    GgufType{"IQ2_XXS"},                 // 16
    GgufType{"IQ2_XS"},                  // 17
    GgufType{"IQ3_XXS"},                 // 18
    GgufType{"IQ1_S"},                   // 19
    GgufType{"IQ4_NL", DType::iq4_nl},   // 20
    GgufType{"IQ3_S"},                   // 21
    GgufType{"IQ2_S"},                   // 22
    GgufType{"IQ4_XS", DType::iq4_xs},   // 23
    GgufType{"I8", DType::i8},           // 24
    GgufType{"I16", DType::i16},         // 25
    GgufType{"I32", DType::i32},         // 26
    GgufType{"I64", DType::i64},         // 27
    GgufType{"F64", DType::f64},         // 28
    GgufType{"IQ1_M"},                   // 29
    GgufType{"BF16", DType::bf16},       // 30
    GgufType{"Q4_0_4_4 (withdrawn)"},    // 31
    GgufType{"Q4_0_4_8 (withdrawn)"},    // 32
    GgufType{"Q4_0_8_8 (withdrawn)"},    // 33
    GgufType{"TQ1_0"},                   // 34
    GgufType{"TQ2_0"},                   // 35
    GgufType{"IQ4_NL_4_4 (withdrawn)"},  // 36
    GgufType{"IQ4_NL_4_8 (withdrawn)"},  // 37
    GgufType{"IQ4_NL_8_8 (withdrawn)"},  // 38
    GgufType{"MXFP4"},                   // 39
    GgufType{"NVFP4"},                   // 40
    GgufType{"Q1_0"},                    // 41
    GgufType{"Q2_0"},                    // 42
};

}  // namespace

std::optional<DType> dtype_of_gguf(uint32_t id) {
  return id < kTypes.size() ? kTypes[id].type : std::nullopt;
}

uint32_t gguf_id_of(DType type) {
  for (uint32_t id = 0; id < kTypes.size(); ++id)
    if (kTypes[id].type == type) return id;
  fail(Code::internal, "{} has no GGUF type id", info(type).name);
}

std::string_view gguf_type_name(uint32_t id) {
  return id < kTypes.size() ? kTypes[id].name : std::string_view();
}

}  // namespace weir
