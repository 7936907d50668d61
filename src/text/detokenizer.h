// Streaming detokenizer: turns ids into text as they come and never emits half a character.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace weir {

/// What push() and finish() return is valid UTF-8 each time, and joined it equals
/// Tokenizer::decode of all ids with the same options.
class StreamDetokenizer {
 public:
  explicit StreamDetokenizer(std::shared_ptr<const Tokenizer> tokenizer,
                             Tokenizer::DecodeOptions options = Tokenizer::DecodeOptions())
      : tokenizer_(std::move(tokenizer)), options_(options) {}

  /// Text that is certain after this id; empty while a character is incomplete.
  std::string push(int32_t id);
  /// The rest: U+FFFD if the ids ended inside a character. The object then starts a new text.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  Tokenizer::DecodeOptions options_;
  bool anything_before_ = false;
  Utf8Filter filter_;
};

}  // namespace weir
