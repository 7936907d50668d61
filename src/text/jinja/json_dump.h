// json.dumps as the tojson filter of Hugging Face calls it.
#pragma once

#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace weir::jinja {

struct JsonStyle {
  bool ascii = false;                 // ensure_ascii
  std::optional<std::string> indent;  // one level; absent: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

/// Untrusted text if any text inside is untrusted.
Value dump_json(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace weir::jinja
