#include "base/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "base/checked.h"

namespace weir {
namespace {

// Longest piece of a foreign value that a message repeats.
constexpr size_t kShown = 40;

std::string shorten(const std::string& text) {
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  // Not inside a UTF-8 sequence.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string show(const OptionValue& value) {
  struct Shower {
    std::string operator()(std::monostate) const { return "nothing (null)"; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(uint64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const {
      return fmt::format("the text '{}'", shorten(v));
    }
    std::string operator()(const OptionList& v) const {
      return fmt::format("a list of {} items", v.size());
    }
    std::string operator()(const OptionObject& v) const {
      return fmt::format("an object of {} members", v.size());
    }
  };
  return std::visit(Shower{}, value.value);
}

[[noreturn]] void refuse(const OptionInfo& info, const std::string& found) {
  fail(Code::invalid_argument, "option '{}' must be {}, but got {}", info.name,
       describe_range(info), found);
}

std::string range_words(const OptionRange& range, bool whole) {
  const auto number = [whole](double v) {
    return whole ? fmt::format("{:.0f}", v) : fmt::format("{}", v);
  };
  std::string words;
  if (!range.choices.empty()) {
    words = fmt::format(" ({})", fmt::join(range.choices, " or "));
  } else if (range.minimum && range.maximum) {
    words = fmt::format(" from {} to {}", number(*range.minimum), number(*range.maximum));
  } else if (range.minimum) {
    words = fmt::format(" of at least {}", number(*range.minimum));
  } else if (range.maximum) {
    words = fmt::format(" of at most {}", number(*range.maximum));
  }
  if (range.allow_minus_infinity) words += " or -inf";
  return words;
}

bool in_range(const OptionRange& range, double value) {
  if (range.allow_minus_infinity && std::isinf(value) && value < 0) return true;
  if (!std::isfinite(value)) return false;
  return (!range.minimum || value >= *range.minimum) && (!range.maximum || value <= *range.maximum);
}

// The whole number in a JSON number; 40.0 counts as 40.
template <typename T>
std::optional<T> whole(const OptionValue& value) {
  if (const auto* v = std::get_if<int64_t>(&value.value)) return checked_cast<T>(*v);
  if (const auto* v = std::get_if<uint64_t>(&value.value)) return checked_cast<T>(*v);
  if (const auto* v = std::get_if<double>(&value.value)) {
    // Beyond 2^53 a double does not say which whole number was meant.
    if (!(std::fabs(*v) <= 0x1p53) || std::floor(*v) != *v) return std::nullopt;
    return checked_cast<T>(static_cast<int64_t>(*v));
  }
  return std::nullopt;
}

std::optional<double> real(const OptionValue& value) {
  if (const auto* v = std::get_if<int64_t>(&value.value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<uint64_t>(&value.value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<double>(&value.value)) return *v;
  return std::nullopt;
}

template <typename T>
T checked_whole(const OptionInfo& info, const OptionValue& value, const OptionValue& context) {
  const auto result = whole<T>(value);
  if (!result || !in_range(info.range, static_cast<double>(*result))) refuse(info, show(context));
  const auto& choices = info.range.choices;
  if (!choices.empty() && std::none_of(choices.begin(), choices.end(), [&](int64_t choice) {
        return std::cmp_equal(choice, *result);
      })) {
    refuse(info, show(context));
  }
  return *result;
}

template <typename T>
std::optional<T> parse_whole(std::string_view text) {
  T result{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return result;
}

std::optional<double> parse_real(std::string_view text) {
  double result = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return result;
}

OptionValue parse_number(const OptionInfo& info, const std::string& text) {
  if (!info.unset_name.empty() && text == info.unset_name) return {};
  if (const auto v = parse_whole<int64_t>(text)) return {*v};
  if (const auto v = parse_whole<uint64_t>(text)) return {*v};
  if (const auto v = parse_real(text)) return {*v};
  refuse(info, fmt::format("'{}'", shorten(text)));
}

void parse_pairs(const OptionInfo& info, std::string_view text, OptionObject& object) {
  while (true) {
    const auto comma = text.find(',');
    const auto pair = text.substr(0, comma);
    const auto equals = pair.find('=');
    const auto number =
        equals == std::string_view::npos ? std::nullopt : parse_real(pair.substr(equals + 1));
    if (!number) refuse(info, fmt::format("'{}'", shorten(std::string(pair))));
    object.push_back({std::string(pair.substr(0, equals)), {*number}});
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

char plain(char c) {
  if (c == '-') return '_';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Edits (insert, delete, replace, swap of neighbours) between two names.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool equal = plain(a[i - 1]) == plain(b[j - 1]);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, last[j - 1] + (equal ? 0 : 1)});
      if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) &&
          plain(a[i - 2]) == plain(b[j - 1])) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, current);
  }
  return last[b.size()];
}

}  // namespace

std::string describe_range(const OptionInfo& info) {
  const OptionRange& range = info.range;
  const auto items = [&range](std::string_view what) {
    return range.max_items ? fmt::format("a list of at most {} {}", *range.max_items, what)
                           : fmt::format("a list of {}", what);
  };
  switch (info.type) {
    case OptionType::boolean:
      return "true or false";
    case OptionType::integer: {
      std::string words = "a whole number";
      // A field that only its type limits.
      if (info.is_unsigned && !range.minimum && !range.maximum && range.choices.empty()) {
        words += fmt::format(" from 0 to {}", std::numeric_limits<uint64_t>::max());
      }
      words += range_words(range, true);
      if (!info.unset_name.empty()) words += fmt::format(" or '{}'", info.unset_name);
      return words;
    }
    case OptionType::number:
      return "a number" + range_words(range, false);
    case OptionType::text:
      if (!range.words.empty()) return fmt::format("{}", fmt::join(range.words, " or "));
      return range.max_bytes ? fmt::format("a text of at most {} bytes", *range.max_bytes)
                             : "a text";
    case OptionType::text_list:
      return items("non-empty texts") +
             (range.max_bytes ? fmt::format(" of at most {} bytes each", *range.max_bytes) : "");
    case OptionType::integer_list:
      return items("whole numbers") + range_words(range, true);
    case OptionType::number_map:
      return items("pairs ID=NUMBER, each number") + range_words(range, false);
  }
  return "a value";
}

OptionValue parse_option(const OptionInfo& info, std::span<const std::string> texts) {
  if (info.type == OptionType::text_list) {
    OptionList list;
    for (const auto& text : texts) list.push_back({text});
    return {std::move(list)};
  }
  if (info.type == OptionType::integer_list) {
    OptionList list;
    for (const auto& text : texts) list.push_back(parse_number(info, text));
    return {std::move(list)};
  }
  if (info.type == OptionType::number_map) {
    OptionObject object;
    for (const auto& text : texts) parse_pairs(info, text, object);
    return {std::move(object)};
  }
  if (info.type == OptionType::boolean && texts.empty()) return {true};
  if (texts.size() != 1) {
    fail(Code::invalid_argument, "option '{}' takes one value ({}), but got {}", info.name,
         describe_range(info), texts.size());
  }
  const std::string& text = texts.front();
  switch (info.type) {
    case OptionType::boolean:
      if (text == "true" || text == "on" || text == "yes" || text == "1") return {true};
      if (text == "false" || text == "off" || text == "no" || text == "0") return {false};
      refuse(info, fmt::format("'{}'", shorten(text)));
    case OptionType::integer:
    case OptionType::number:
      return parse_number(info, text);
    default:
      return {text};
  }
}

std::optional<std::string> nearest_name(std::string_view name,
                                        std::span<const std::string> candidates) {
  // Longer than any name: comparing would only cost time.
  if (name.empty() || name.size() > 64) return std::nullopt;
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(name, candidate);
    // A replacement of everything is no likeness.
    if (distance < best_distance && distance < std::max(name.size(), candidate.size())) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

namespace option_check {

bool boolean(const OptionInfo& info, const OptionValue& value) {
  if (const auto* v = std::get_if<bool>(&value.value)) return *v;
  refuse(info, show(value));
}

int64_t integer(const OptionInfo& info, const OptionValue& value) {
  return checked_whole<int64_t>(info, value, value);
}

uint64_t unsigned_integer(const OptionInfo& info, const OptionValue& value) {
  return checked_whole<uint64_t>(info, value, value);
}

double number(const OptionInfo& info, const OptionValue& value) {
  const auto result = real(value);
  if (!result || !in_range(info.range, *result)) refuse(info, show(value));
  return *result;
}

std::string text(const OptionInfo& info, const OptionValue& value) {
  const auto* v = std::get_if<std::string>(&value.value);
  if (v == nullptr) refuse(info, show(value));
  if (info.range.max_bytes && v->size() > *info.range.max_bytes) {
    refuse(info, fmt::format("{} bytes", v->size()));
  }
  const auto& words = info.range.words;
  if (!words.empty() && std::find(words.begin(), words.end(), *v) == words.end())
    refuse(info, show(value));
  return *v;
}

std::vector<std::string> text_list(const OptionInfo& info, const OptionValue& value) {
  const auto check = [&info](const OptionValue& item) {
    std::string result = text(info, item);
    if (result.empty()) refuse(info, "an empty text");
    return result;
  };
  // APIs let a single text stand for a list of one.
  if (std::holds_alternative<std::string>(value.value)) return {check(value)};
  const auto* list = std::get_if<OptionList>(&value.value);
  if (list == nullptr || list->size() > info.range.max_items.value_or(SIZE_MAX)) {
    refuse(info, show(value));
  }
  std::vector<std::string> result;
  std::transform(list->begin(), list->end(), std::back_inserter(result), check);
  return result;
}

std::vector<int64_t> integer_list(const OptionInfo& info, const OptionValue& value) {
  const auto* list = std::get_if<OptionList>(&value.value);
  if (list == nullptr || list->size() > info.range.max_items.value_or(SIZE_MAX)) {
    refuse(info, show(value));
  }
  std::vector<int64_t> result;
  for (const auto& item : *list) result.push_back(checked_whole<int64_t>(info, item, item));
  return result;
}

std::map<int64_t, double> number_map(const OptionInfo& info, const OptionValue& value) {
  const auto* object = std::get_if<OptionObject>(&value.value);
  if (object == nullptr || object->size() > info.range.max_items.value_or(SIZE_MAX)) {
    refuse(info, show(value));
  }
  std::map<int64_t, double> result;
  for (const auto& [key, item] : *object) {
    const auto id = parse_whole<int32_t>(key);
    if (!id || *id < 0) refuse(info, fmt::format("the ID '{}'", shorten(key)));
    result[*id] = number(info, item);
  }
  return result;
}

bool means_unset(const OptionInfo& info, const OptionValue& value) {
  if (std::holds_alternative<std::monostate>(value.value)) return true;
  const auto* v = std::get_if<std::string>(&value.value);
  return v != nullptr && !info.unset_name.empty() && *v == info.unset_name;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x == '-' ? '_' : x) == (y == '-' ? '_' : y); });
}

void unknown_name(std::string_view name, std::span<const OptionInfo> known) {
  std::vector<std::string> names;
  for (const auto& info : known) names.push_back(info.name);
  const std::string shown = shorten(std::string(name));
  if (const auto nearest = nearest_name(name, names)) {
    fail(Code::invalid_argument, "unknown option '{}'; did you mean '{}'?", shown, *nearest);
  }
  fail(Code::invalid_argument, "unknown option '{}'; the options are: {}", shown,
       fmt::join(names, ", "));
}

}  // namespace option_check

std::string option_text(bool value) { return value ? "true" : "false"; }
std::string option_text(int64_t value) { return fmt::format("{}", value); }
std::string option_text(uint64_t value) { return fmt::format("{}", value); }
// Six digits: the defaults are floats, and 0.8f should read 0.8.
std::string option_text(double value) { return fmt::format("{:.6g}", value); }
std::string option_text(const std::string& value) { return value; }

std::string option_text(const std::vector<std::string>& value) {
  std::string result;
  for (const auto& item : value) {
    if (!result.empty()) result += ' ';
    result += '\'';
    for (const char c : item) result += c == '\n' ? std::string("\\n") : std::string(1, c);
    result += '\'';
  }
  return result;
}

}  // namespace weir
