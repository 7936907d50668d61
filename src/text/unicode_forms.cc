// Unicode standard annex 15. The text is cut before characters below U+0300: they are starters that
// never change and never compose with what stands before them, so every piece is normalised alone.
#include "text/unicode_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "text/utf8.h"

namespace weir {
namespace {

int combining_class(int32_t c) { return utf8proc_get_property(c)->combining_class; }

/// Sorts every run of marks by combining class, keeping the order of equal ones.
void order_marks(std::vector<int32_t>& code_points) {
  for (size_t begin = 0; begin < code_points.size();) {
    if (combining_class(code_points[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < code_points.size() && combining_class(code_points[end]) != 0) ++end;
    std::stable_sort(code_points.begin() + static_cast<ptrdiff_t>(begin),
                     code_points.begin() + static_cast<ptrdiff_t>(end),
                     [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

void append_normalized(std::string& out, std::vector<int32_t>& code_points, NormalForm form) {
  if (code_points.empty()) return;
  order_marks(code_points);
  size_t count = code_points.size();
  if (form == NormalForm::nfc || form == NormalForm::nfkc) {
    const auto composed = utf8proc_normalize_utf32(
        code_points.data(), static_cast<utf8proc_ssize_t>(count),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    WEIR_CHECK(composed >= 0, "composition failed: {}", utf8proc_errmsg(composed));
    count = static_cast<size_t>(composed);
  }
  for (size_t i = 0; i < count; ++i) append_utf8(out, static_cast<char32_t>(code_points[i]));
  code_points.clear();
}

void append_decomposed(std::vector<int32_t>& code_points, char32_t c, NormalForm form) {
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  int32_t decomposed[32];
  int boundary = 0;
  const auto n =
      utf8proc_decompose_char(static_cast<int32_t>(c), decomposed, 32, options, &boundary);
  if (n < 0 || n > 32) {  // unassigned for utf8proc: it stands for itself
    code_points.push_back(static_cast<int32_t>(c));
  } else {
    code_points.insert(code_points.end(), decomposed, decomposed + n);
  }
}

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

std::string normal_form(std::string_view text, NormalForm form) {
  if (is_ascii(text)) return std::string(text);
  const char32_t first_changing = form == NormalForm::nfc ? 0x300 : 0x80;
  std::string out;
  out.reserve(text.size());
  std::vector<int32_t> open;  // the piece being collected, decomposed
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    if (!c.valid) {
      append_normalized(out, open, form);
      out.push_back(text[at]);
    } else {
      if (c.value < 0x300) append_normalized(out, open, form);
      // Plain text is copied unless something that could compose with it follows.
      const bool followed =
          at + c.bytes < text.size() && static_cast<uint8_t>(text[at + c.bytes]) >= 0xCC;
      if (c.value < first_changing && !followed) {
        out.append(text, at, c.bytes);
      } else {
        append_decomposed(open, c.value, form);
      }
    }
    at += c.bytes;
  }
  append_normalized(out, open, form);
  return out;
}

void append_lowercase(std::string& out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
  } else if (c == 0x130) {  // the only lower case of two characters (SpecialCasing.txt)
    out += "i\xCC\x87";
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(c))));
  }
}

bool is_nonspacing_mark(char32_t c) {
  return c >= 0x300 && utf8proc_category(static_cast<int32_t>(c)) == UTF8PROC_CATEGORY_MN;
}

bool is_control_character(char32_t c) {
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  const auto category = utf8proc_category(static_cast<int32_t>(c));
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS;
}

bool is_white_space(char32_t c) {
  if (c <= 0x20) return c == ' ' || (c >= 9 && c <= 13);
  if (c < 0x1680) return c == 0x85 || c == 0xA0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

}  // namespace weir
