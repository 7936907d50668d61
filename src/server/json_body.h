// The JSON body of a request, read strictly: UTF-8 without a byte order mark, bounded depth and
// number of values, no duplicate keys, no NaN, no number beyond a double, no NUL byte. Owns these
// rules; refuses to know any parameter.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace weir {

struct JsonLimits {
  size_t depth = 64;
  size_t values = size_t{1} << 18;  // all values of the text together
};

/// Throws Error{bad_format} or {limit_exceeded} that says where and what.
nlohmann::json parse_json_body(std::string_view text, const JsonLimits& limits);
nlohmann::json parse_json_body(std::string_view text);

/// The same, and the text must be an object.
nlohmann::json parse_json_object(std::string_view text);

/// Whether `value` is this text. (The library's own == makes a value of the text first, where no
/// failed allocation may be told.)
bool is_text(const nlohmann::json& value, std::string_view text);

}  // namespace weir
