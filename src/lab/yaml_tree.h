// YAML text to a tree with line numbers. Owns the bounds: size, depth, number of nodes. Refuses
// what a settings file does not need and an attacker does: aliases, anchors, tags, several
// documents, keys that are no scalars, keys that stand twice.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/options.h"

namespace weir {

struct YamlMember;

struct YamlScalar {
  std::string text;
  bool quoted = false;  // then it is a text whatever it looks like
};

struct YamlNode {
  int line = 0;  // from 1
  using Scalar = YamlScalar;
  using List = std::vector<YamlNode>;
  using Map = std::vector<YamlMember>;
  std::variant<Scalar, List, Map> value;
};

struct YamlMember {
  std::string key;
  int line = 0;
  YamlNode node;
};

inline constexpr size_t kMaxYamlBytes = 256 << 10;
inline constexpr size_t kMaxYamlNodes = 20000;
inline constexpr size_t kMaxYamlDepth = 16;

/// The one document in `text`; `source` names it in errors. An empty document is an empty map.
/// Throws bad_format or limit_exceeded with the line.
YamlNode parse_yaml(std::string_view text, const std::string& source);

/// The node as an option's value: unquoted scalars are null, true, false or numbers (core schema of
/// YAML 1.2) where they look like it, except where the option is a text.
OptionValue yaml_value(const YamlNode& node, OptionType type);

}  // namespace weir
