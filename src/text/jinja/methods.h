// The methods of Python's types that templates may call.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/interpreter.h"
#include "text/jinja/value.h"

namespace weir::jinja {

struct MethodEntry {
  Kind kind;
  std::string_view name;
  Value (*run)(Interpreter& in, const Value& self, const CallArgs& args);
};

/// Null if values of this kind have no such method.
const MethodEntry* find_method(Kind kind, std::string_view name);
const MethodEntry* find_text_method(std::string_view name);

extern const std::vector<MethodEntry> kTextSearchMethods;

}  // namespace weir::jinja
