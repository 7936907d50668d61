// Options are declared once: name, type, range, default and help of each field of a plain struct.
// Command-line flags, JSON parameters, help texts and docs are made from that declaration, and
// every value from outside passes one check. Owns types, ranges and messages; refuses to know argv
// or JSON libraries, which hand over texts or OptionValues.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace weir {

enum class OptionType { boolean, integer, number, text, text_list, integer_list, number_map };

/// What may stand in an option. A field left empty means "no limit but the type's own".
struct OptionRange {
  std::optional<double> minimum;  // of the number, or of each item
  std::optional<double> maximum;
  std::vector<int64_t> choices;       // if not empty, the only whole numbers allowed
  std::vector<std::string> words;     // if not empty, the only texts allowed
  std::optional<size_t> max_items;    // of lists and maps
  std::optional<size_t> max_bytes;    // of a text, or of each text of a list
  bool allow_minus_infinity = false;  // beside minimum..maximum
};

struct OptionInfo {
  std::string name;                  // as in APIs: top_k
  std::string flag;                  // as on the command line, without dashes: top-k
  std::vector<std::string> aliases;  // further names, in either spelling
  OptionType type = OptionType::text;
  bool is_unsigned = false;  // integers only
  std::string unset_name;    // text that means "not set" where the field may be empty
  OptionRange range;
  std::string default_text;
  std::string help;
};

struct OptionValue;
struct OptionMember;
using OptionList = std::vector<OptionValue>;
using OptionObject = std::vector<OptionMember>;

/// A value from outside, in the shapes that JSON has.
struct OptionValue {
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, OptionList,
               OptionObject>
      value;
};
struct OptionMember {
  std::string key;
  OptionValue value;
};

/// "a whole number from 0 to 100": the allowed values in words.
std::string describe_range(const OptionInfo& info);

/// The value that command-line texts mean. Flags without text mean true; lists take one item a
/// text; maps take KEY=NUMBER texts, several separated by commas. Throws invalid_argument.
OptionValue parse_option(const OptionInfo& info, std::span<const std::string> texts);

/// The candidate nearest to a mistyped name, if one is near; '-' and '_' count as equal.
std::optional<std::string> nearest_name(std::string_view name,
                                        std::span<const std::string> candidates);

// The checks behind OptionTable: the value in the field's type, or an Error{invalid_argument} that
// names the option, the allowed range and what was found.
namespace option_check {
bool boolean(const OptionInfo& info, const OptionValue& value);
int64_t integer(const OptionInfo& info, const OptionValue& value);
uint64_t unsigned_integer(const OptionInfo& info, const OptionValue& value);
double number(const OptionInfo& info, const OptionValue& value);
std::string text(const OptionInfo& info, const OptionValue& value);
std::vector<std::string> text_list(const OptionInfo& info, const OptionValue& value);
std::vector<int64_t> integer_list(const OptionInfo& info, const OptionValue& value);
std::map<int64_t, double> number_map(const OptionInfo& info, const OptionValue& value);
bool means_unset(const OptionInfo& info, const OptionValue& value);
[[noreturn]] void unknown_name(std::string_view name, std::span<const OptionInfo> known);
bool same_name(std::string_view a, std::string_view b);
}  // namespace option_check

// How each field type is read, checked and shown.
std::string option_text(bool value);
std::string option_text(int64_t value);
std::string option_text(uint64_t value);
std::string option_text(double value);
std::string option_text(const std::string& value);
std::string option_text(const std::vector<std::string>& value);

/// The options of struct S, in the order of help texts.
template <typename S>
class OptionTable {
 public:
  using Field =
      std::variant<bool S::*, int32_t S::*, uint64_t S::*, std::optional<uint64_t> S::*, float S::*,
                   double S::*, std::string S::*, std::vector<std::string> S::*,
                   std::vector<int32_t> S::*, std::map<int32_t, float> S::*>;

  struct Names {
    std::string name;
    std::string flag = {};  // empty: the name with dashes
    std::vector<std::string> aliases = {};
    std::string unset_name = {};
  };

  void add(Names names, Field field, OptionRange range, std::string help) {
    OptionInfo info;
    info.name = std::move(names.name);
    info.flag = std::move(names.flag);
    if (info.flag.empty()) {
      info.flag = info.name;
      for (char& c : info.flag) c = c == '_' ? '-' : c;
    }
    info.aliases = std::move(names.aliases);
    info.unset_name = std::move(names.unset_name);
    info.range = std::move(range);
    info.help = std::move(help);
    std::visit([&info](auto member) { describe(member, info); }, field);
    infos_.push_back(std::move(info));
    fields_.push_back(field);
  }

  std::span<const OptionInfo> infos() const { return infos_; }

  /// The option of that name, flag or alias; Error{invalid_argument} with the nearest name.
  const OptionInfo& info(std::string_view name) const { return infos_[index_of(name)]; }

  bool has(std::string_view name) const { return find(name).has_value(); }

  /// Checks and stores a value that came as JSON.
  void set(S& target, std::string_view name, const OptionValue& value) const {
    const size_t index = index_of(name);
    std::visit([&](auto member) { assign(target, member, infos_[index], value); }, fields_[index]);
  }

  /// Checks and stores a value that came as command-line texts, all occurrences at once.
  void set_text(S& target, std::string_view name, std::span<const std::string> texts) const {
    set(target, name, parse_option(info(name), texts));
  }

  /// Checks a struct that the program filled itself.
  void check(const S& source) const {
    for (size_t i = 0; i < fields_.size(); ++i) {
      std::visit(
          [&](auto member) {
            S scratch = source;
            assign(scratch, member, infos_[i], to_value(source.*member));
          },
          fields_[i]);
    }
  }

 private:
  std::optional<size_t> find(std::string_view name) const {
    for (size_t i = 0; i < infos_.size(); ++i) {
      const auto& info = infos_[i];
      if (option_check::same_name(name, info.name) || option_check::same_name(name, info.flag)) {
        return i;
      }
      for (const auto& alias : info.aliases) {
        if (option_check::same_name(name, alias)) return i;
      }
    }
    return std::nullopt;
  }

  size_t index_of(std::string_view name) const {
    const auto index = find(name);
    if (!index) option_check::unknown_name(name, infos_);
    return *index;
  }

  template <typename T>
  static void describe(T S::*member, OptionInfo& info) {
    const S defaults{};
    if constexpr (std::is_same_v<T, bool>) {
      info.type = OptionType::boolean;
      info.default_text = option_text(defaults.*member);
    } else if constexpr (std::is_same_v<T, int32_t>) {
      info.type = OptionType::integer;
      if (info.range.choices.empty()) fit_range(info);
      info.default_text = option_text(int64_t{defaults.*member});
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      info.type = OptionType::integer;
      info.is_unsigned = true;
      info.default_text = option_text(defaults.*member);
    } else if constexpr (std::is_same_v<T, std::optional<uint64_t>>) {
      info.type = OptionType::integer;
      info.is_unsigned = true;
      const auto& value = defaults.*member;
      info.default_text = value ? option_text(*value) : info.unset_name;
    } else if constexpr (std::is_floating_point_v<T>) {
      info.type = OptionType::number;
      info.default_text = option_text(static_cast<double>(defaults.*member));
    } else if constexpr (std::is_same_v<T, std::string>) {
      info.type = OptionType::text;
      info.default_text = option_text(defaults.*member);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      info.type = OptionType::text_list;
      info.default_text = option_text(defaults.*member);
    } else if constexpr (std::is_same_v<T, std::vector<int32_t>>) {
      info.type = OptionType::integer_list;
      fit_range(info);
    } else {
      static_assert(std::is_same_v<T, std::map<int32_t, float>>);
      info.type = OptionType::number_map;
    }
  }

  // Numbers that the field cannot hold are out of range.
  static void fit_range(OptionInfo& info) {
    info.range.minimum = info.range.minimum.value_or(std::numeric_limits<int32_t>::min());
    info.range.maximum = info.range.maximum.value_or(std::numeric_limits<int32_t>::max());
  }

  template <typename T>
  static void assign(S& target, T S::*member, const OptionInfo& info, const OptionValue& value) {
    if constexpr (std::is_same_v<T, bool>) {
      target.*member = option_check::boolean(info, value);
    } else if constexpr (std::is_same_v<T, int32_t>) {
      target.*member = static_cast<int32_t>(option_check::integer(info, value));
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      target.*member = option_check::unsigned_integer(info, value);
    } else if constexpr (std::is_same_v<T, std::optional<uint64_t>>) {
      target.*member = option_check::means_unset(info, value)
                           ? std::nullopt
                           : std::optional(option_check::unsigned_integer(info, value));
    } else if constexpr (std::is_floating_point_v<T>) {
      target.*member = static_cast<T>(option_check::number(info, value));
    } else if constexpr (std::is_same_v<T, std::string>) {
      target.*member = option_check::text(info, value);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      target.*member = option_check::text_list(info, value);
    } else if constexpr (std::is_same_v<T, std::vector<int32_t>>) {
      const auto items = option_check::integer_list(info, value);
      (target.*member).clear();
      for (const int64_t item : items) (target.*member).push_back(static_cast<int32_t>(item));
    } else {
      const auto items = option_check::number_map(info, value);
      (target.*member).clear();
      for (const auto& [key, number] : items) {
        (target.*member)[static_cast<int32_t>(key)] = static_cast<float>(number);
      }
    }
  }

  template <typename T>
  static OptionValue to_value(const T& field) {
    OptionValue result;
    if constexpr (std::is_same_v<T, int32_t>) {
      result.value = int64_t{field};
    } else if constexpr (std::is_same_v<T, std::optional<uint64_t>>) {
      if (field) result.value = *field;
    } else if constexpr (std::is_floating_point_v<T>) {
      result.value = static_cast<double>(field);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      OptionList list;
      for (const auto& item : field) list.push_back({item});
      result.value = std::move(list);
    } else if constexpr (std::is_same_v<T, std::vector<int32_t>>) {
      OptionList list;
      for (const int32_t item : field) list.push_back({int64_t{item}});
      result.value = std::move(list);
    } else if constexpr (std::is_same_v<T, std::map<int32_t, float>>) {
      OptionObject object;
      for (const auto& [key, item] : field) {
        object.push_back({std::to_string(key), {static_cast<double>(item)}});
      }
      result.value = std::move(object);
    } else {
      result.value = field;
    }
    return result;
  }

  std::vector<OptionInfo> infos_;
  std::vector<Field> fields_;
};

}  // namespace weir
