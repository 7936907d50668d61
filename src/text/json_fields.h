// Typed access to the fields of a JSON object from outside, with errors that name the field.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

using Json = nlohmann::json;

/// Parses with a limit on the depth. `what` names the document in errors (bad_format).
Json parse_json(std::string_view text, std::string_view what);

/// A view of one object and of where it stands in the document.
class JsonFields {
 public:
  /// Throws bad_format if `value` is no object.
  JsonFields(const Json& value, std::string path);

  /// Null and absent are the same.
  bool has(const char* key) const;
  const Json& require(const char* key) const;
  std::string string(const char* key) const;
  std::string string_or(const char* key, std::string fallback) const;
  bool boolean_or(const char* key, bool fallback) const;
  /// An integer that fits a token id or count: 0 to 2^31 - 1.
  int32_t integer(const char* key) const;
  const Json& array(const char* key) const;
  std::string path(const char* key) const { return path_ + "." + key; }

 private:
  const Json& value_;
  std::string path_;
};

/// The string or non-negative integer in `value`; throws bad_format with the path.
std::string json_string(const Json& value, std::string_view path);
int32_t json_integer(const Json& value, std::string_view path);

}  // namespace weir
