// Two tries over the same entries: with and without control tokens.
#include "text/special_splitter.h"

#include "base/error.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace weir {
namespace {
constexpr size_t kMaxSpecialBytes = 1024;
}

SpecialSplitter::SpecialSplitter(std::vector<Entry> entries) : entries_(std::move(entries)) {
  std::vector<std::pair<std::string_view, int32_t>> all;
  std::vector<std::pair<std::string_view, int32_t>> user_defined;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.text.size() > kMaxSpecialBytes) {
      fail(Code::limit_exceeded, "the special token {} has {} bytes; at most {} are supported",
           entry.rule.id, entry.text.size(), kMaxSpecialBytes);
    }
    all.emplace_back(entry.text, static_cast<int32_t>(i));
    if (!entry.control) user_defined.emplace_back(entry.text, static_cast<int32_t>(i));
  }
  all_ = Trie(std::move(all));
  user_defined_ = Trie(std::move(user_defined));
}

size_t SpecialSplitter::white_space_before(std::string_view text, size_t from, size_t end) {
  while (end > from) {
    size_t start = end - 1;
    while (start > from && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) --start;
    const CodePoint c = decode_utf8(text, start);
    if (!c.valid || start + c.bytes != end || !is_white_space(c.value)) break;
    end = start;
  }
  return end;
}

size_t SpecialSplitter::white_space_after(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint c = decode_utf8(text, at);
    if (!c.valid || !is_white_space(c.value)) break;
    at += c.bytes;
  }
  return at;
}

}  // namespace weir
