#include "text/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/jinja/case_table.h"

namespace weir::jinja {
namespace {

constexpr char32_t kSigma = 0x3a3;
constexpr char32_t kFinalSigma = 0x3c2;

utf8proc_category_t category(char32_t point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

bool in_category(char32_t point, utf8proc_category_t first, utf8proc_category_t last) {
  const auto found = category(point);
  return found >= first && found <= last;
}

bool append_special(std::string& out, const std::vector<SpecialCase>& table, char32_t point) {
  const auto found = std::lower_bound(
      table.begin(), table.end(), point,
      [](const SpecialCase& entry, char32_t wanted) { return entry.point < wanted; });
  if (found == table.end() || found->point != point) return false;
  out += found->text;
  return true;
}

void append_upper(std::string& out, char32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point >= 'a' && point <= 'z' ? point - 32 : point);
  } else if (!append_special(out, kSpecialUpper, point)) {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(point))));
  }
}

void append_title(std::string& out, char32_t point) {
  if (point < 0x80) {
    append_upper(out, point);
  } else if (!append_special(out, kSpecialTitle, point)) {
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(point))));
  }
}

bool is_case_ignorable(char32_t point) {
  switch (point) {
    case '\'':
    case '.':
    case ':':
    case '^':
    case '`':
    case 0xb7:
    case 0x2018:
    case 0x2019:
      return true;
    default:
      return in_category(point, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MN) ||
             in_category(point, UTF8PROC_CATEGORY_ME, UTF8PROC_CATEGORY_ME) ||
             in_category(point, UTF8PROC_CATEGORY_CF, UTF8PROC_CATEGORY_CF) ||
             in_category(point, UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LM) ||
             in_category(point, UTF8PROC_CATEGORY_SK, UTF8PROC_CATEGORY_SK);
  }
}

// A sigma is final when a cased letter stands before it and none after (Unicode 3.13). The scan
// looks at few code points in real text; `is_case_ignorable` runs are bounded to keep it linear.
bool sigma_is_final(std::string_view bytes, std::size_t offset) {
  constexpr int kWindow = 32;
  std::size_t at = offset;
  bool before = false;
  for (int i = 0; i < kWindow && at > 0; ++i) {
    do --at;
    while (at > 0 && (static_cast<unsigned char>(bytes[at]) & 0xc0) == 0x80);
    std::size_t size = 0;
    const char32_t point = decode(bytes, at, size);
    if (is_case_ignorable(point)) continue;
    before = is_cased(point);
    break;
  }
  if (!before) return false;
  at = offset + 2;
  for (int i = 0; i < kWindow && at < bytes.size(); ++i) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, at, size);
    at += size;
    if (is_case_ignorable(point)) continue;
    return !is_cased(point);
  }
  return true;
}

void append_lower(std::string& out, char32_t point, std::string_view bytes, std::size_t offset) {
  if (point < 0x80) {
    out += static_cast<char>(point >= 'A' && point <= 'Z' ? point + 32 : point);
  } else if (point == 0x130) {
    out += "i\xcc\x87";
  } else if (point == kSigma && sigma_is_final(bytes, offset)) {
    append_utf8(out, kFinalSigma);
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
  }
}

template <typename Visit>
void for_each_point(std::string_view bytes, Visit visit) {
  for (std::size_t offset = 0; offset < bytes.size();) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, offset, size);
    visit(point, offset);
    offset += size;
  }
}

}  // namespace

bool valid_utf8(std::string_view bytes) {
  for (std::size_t offset = 0; offset < bytes.size();) {
    if (static_cast<unsigned char>(bytes[offset]) < 0x80) {
      ++offset;
      continue;
    }
    utf8proc_int32_t point = 0;
    const auto left = std::min<std::size_t>(4, bytes.size() - offset);
    const auto size =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data() + offset),
                         static_cast<utf8proc_ssize_t>(left), &point);
    if (size <= 0) return false;
    offset += static_cast<std::size_t>(size);
  }
  return true;
}

std::size_t count_points(std::string_view bytes) {
  std::size_t count = 0;
  for (const char byte : bytes) count += (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  return count;
}

std::size_t offset_of(std::string_view bytes, std::size_t index) {
  std::size_t offset = 0;
  for (; offset < bytes.size(); ++offset) {
    if ((static_cast<unsigned char>(bytes[offset]) & 0xc0) == 0x80) continue;
    if (index == 0) break;
    --index;
  }
  return offset;
}

char32_t decode(std::string_view bytes, std::size_t offset, std::size_t& size) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(
        offset + i < bytes.size() ? static_cast<unsigned char>(bytes[offset + i]) : 0u);
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) {
    size = 1;
    return lead;
  }
  if (lead < 0xe0) {
    size = 2;
    return ((lead & 0x1f) << 6) | (byte(1) & 0x3f);
  }
  if (lead < 0xf0) {
    size = 3;
    return ((lead & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f);
  }
  size = 4;
  return ((lead & 0x07) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) |
         (byte(3) & 0x3f);
}

void append_utf8(std::string& out, char32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

bool is_space(char32_t point) {
  return (point >= 0x09 && point <= 0x0d) || (point >= 0x1c && point <= 0x20) || point == 0x85 ||
         point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
         point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f ||
         point == 0x3000;
}

bool is_alpha(char32_t point) {
  return in_category(point, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}

bool is_decimal(char32_t point) { return category(point) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t point) {
  return is_decimal(point) || point == 0xb2 || point == 0xb3 || point == 0xb9 || point == 0x2070 ||
         (point >= 0x2074 && point <= 0x2079) || (point >= 0x2080 && point <= 0x2089) ||
         (point >= 0x2460 && point <= 0x2468);
}

bool is_numeric(char32_t point) {
  return in_category(point, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool is_alnum(char32_t point) { return is_alpha(point) || is_numeric(point); }

bool is_lower(char32_t point) {
  if (point < 0x80) return point >= 'a' && point <= 'z';
  return utf8proc_islower(static_cast<utf8proc_int32_t>(point)) != 0;
}

bool is_upper(char32_t point) {
  if (point < 0x80) return point >= 'A' && point <= 'Z';
  return utf8proc_isupper(static_cast<utf8proc_int32_t>(point)) != 0;
}

bool is_cased(char32_t point) {
  return is_lower(point) || is_upper(point) || category(point) == UTF8PROC_CATEGORY_LT;
}

bool is_printable(char32_t point) {
  if (point < 0x80) return point >= 0x20 && point < 0x7f;
  const auto found = category(point);
  return found != UTF8PROC_CATEGORY_CN && found < UTF8PROC_CATEGORY_ZS;
}

bool is_word(char32_t point) { return point == '_' || is_alnum(point); }

std::string to_upper(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for_each_point(bytes, [&](char32_t point, std::size_t) { append_upper(out, point); });
  return out;
}

std::string to_lower(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for_each_point(
      bytes, [&](char32_t point, std::size_t offset) { append_lower(out, point, bytes, offset); });
  return out;
}

std::string to_title(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  bool inside = false;
  for_each_point(bytes, [&](char32_t point, std::size_t offset) {
    if (inside) {
      append_lower(out, point, bytes, offset);
    } else {
      append_title(out, point);
    }
    inside = is_cased(point);
  });
  return out;
}

std::string to_capitalized(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for_each_point(bytes, [&](char32_t point, std::size_t offset) {
    if (offset == 0) {
      append_title(out, point);
    } else {
      append_lower(out, point, bytes, offset);
    }
  });
  return out;
}

std::string swap_case(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for_each_point(bytes, [&](char32_t point, std::size_t offset) {
    if (is_upper(point)) {
      append_lower(out, point, bytes, offset);
    } else if (is_lower(point)) {
      append_upper(out, point);
    } else {
      append_utf8(out, point);
    }
  });
  return out;
}

std::size_t leading_space(std::string_view bytes) {
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    std::size_t size = 0;
    if (!is_space(decode(bytes, offset, size))) break;
    offset += size;
  }
  return offset;
}

std::size_t trailing_space(std::string_view bytes) {
  std::size_t end = bytes.size();
  while (end > 0) {
    std::size_t start = end - 1;
    while (start > 0 && (static_cast<unsigned char>(bytes[start]) & 0xc0) == 0x80) --start;
    std::size_t size = 0;
    if (!is_space(decode(bytes, start, size))) break;
    end = start;
  }
  return bytes.size() - end;
}

}  // namespace weir::jinja
