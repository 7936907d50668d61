// The bytes come from the tokenizer, the cutting from the UTF-8 filter.
#include "text/detokenizer.h"

namespace weir {

std::string StreamDetokenizer::push(int32_t id) {
  std::string bytes;
  tokenizer_->append_bytes(id, options_, anything_before_, bytes);
  return filter_.push(bytes);
}

std::string StreamDetokenizer::finish() {
  anything_before_ = false;
  return filter_.finish();
}

}  // namespace weir
