// The arguments of str methods, most of which take no keywords.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/jinja/interpreter.h"

namespace weir::jinja {

// The arguments of a method that takes no keywords.
class TextArgs {
 public:
  TextArgs(std::string_view name, const CallArgs& args, std::size_t least, std::size_t most)
      : name_(name), args_(args) {
    if (!args.named.empty()) raise("TypeError", "str.{}() takes no keyword arguments", name);
    const std::size_t count = args.positional.size();
    if (count < least) {
      raise("TypeError", "{}() takes at least {} argument{} ({} given)", name, least,
            least == 1 ? "" : "s", count);
    }
    if (count > most) {
      raise("TypeError", "{}() takes at most {} argument{} ({} given)", name, most,
            most == 1 ? "" : "s", count);
    }
  }
  bool has(std::size_t i) const {
    return i < args_.positional.size() && !args_.positional[i].is_none();
  }
  const Value& text(std::size_t i) const {
    const Value& value = args_.positional[i];
    if (!value.is_string()) {
      raise("TypeError", "{}() argument {} must be str, not {}", name_, i + 1, type_name(value));
    }
    return value;
  }
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const {
    return i < args_.positional.size() ? index_of(args_.positional[i], name_) : otherwise;
  }

 private:
  std::string_view name_;
  const CallArgs& args_;
};

}  // namespace weir::jinja
