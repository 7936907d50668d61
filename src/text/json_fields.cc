#include "text/json_fields.h"

#include <limits>

#include "base/error.h"

namespace weir {
namespace {
constexpr int kMaxDepth = 64;
}

Json parse_json(std::string_view text, std::string_view what) {
  const auto check_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) {
      fail(Code::limit_exceeded, "{} is nested deeper than {} levels", what, kMaxDepth);
    }
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::exception& error) {
    fail(Code::bad_format, "{} is not valid JSON: {}", what, error.what());
  }
}

JsonFields::JsonFields(const Json& value, std::string path)
    : value_(value), path_(std::move(path)) {
  if (!value.is_object()) {
    fail(Code::bad_format, "{} is {}, expected an object", path_, value.type_name());
  }
}

bool JsonFields::has(const char* key) const {
  const auto field = value_.find(key);
  return field != value_.end() && !field->is_null();
}

const Json& JsonFields::require(const char* key) const {
  if (!has(key)) fail(Code::bad_format, "{} is missing", path(key));
  return *value_.find(key);
}

std::string JsonFields::string(const char* key) const {
  return json_string(require(key), path(key));
}

std::string JsonFields::string_or(const char* key, std::string fallback) const {
  return has(key) ? string(key) : fallback;
}

bool JsonFields::boolean_or(const char* key, bool fallback) const {
  if (!has(key)) return fallback;
  const Json& value = require(key);
  if (!value.is_boolean()) {
    fail(Code::bad_format, "{} is {}, expected true or false", path(key), value.type_name());
  }
  return value.get<bool>();
}

int32_t JsonFields::integer(const char* key) const { return json_integer(require(key), path(key)); }

const Json& JsonFields::array(const char* key) const {
  const Json& value = require(key);
  if (!value.is_array()) {
    fail(Code::bad_format, "{} is {}, expected an array", path(key), value.type_name());
  }
  return value;
}

std::string json_string(const Json& value, std::string_view path) {
  if (!value.is_string()) {
    fail(Code::bad_format, "{} is {}, expected a string", path, value.type_name());
  }
  return value.get<std::string>();
}

int32_t json_integer(const Json& value, std::string_view path) {
  const bool fits = value.is_number_unsigned() &&
                    value.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()};
  if (!fits) fail(Code::bad_format, "{} is {}, expected 0 to 2^31 - 1", path, value.dump());
  return static_cast<int32_t>(value.get<uint64_t>());
}

}  // namespace weir
