// Bytes as tokenizer.json (first half) and as text to encode with it: typed errors only, and what
// was encoded decodes to valid UTF-8.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace {

void use(const weir::VocabularySpec& spec, std::string_view text) {
  const auto tokenizer = weir::Tokenizer::create(spec);
  const auto ids = tokenizer->encode(text, {.add_special = true, .parse_special = true});
  if (!weir::is_valid_utf8(tokenizer->decode(ids))) __builtin_trap();
}

template <typename Work>
void expect_typed_errors(Work&& work) {
  try {
    work();
  } catch (const weir::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = input.find('\n');
  const std::string_view file = input.substr(0, cut);
  const std::string_view text = cut == std::string_view::npos ? input : input.substr(cut + 1);
  expect_typed_errors([&] { use(weir::from_tokenizer_json(file, ""), text); });
  expect_typed_errors(
      [&] { use(weir::from_sentencepiece_model(std::as_bytes(std::span(file))), text); });
  return 0;
}
