// The str methods that look for parts of a text, cut it and put it together. Parts keep their
// origin.
#include <algorithm>
#include <cstring>
#include <limits>

#include "text/jinja/methods.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_args.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr Kind kText = Kind::string;
constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

std::size_t find_bytes(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  // memmem is linear; std::string_view::find is not.
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

bool in_set(std::string_view set, std::string_view character) {
  for (std::size_t at = 0; at < set.size();) {
    std::size_t size = 0;
    decode(set, at, size);
    if (set.substr(at, size) == character) return true;
    at += size;
  }
  return false;
}

Value strip_sides(Interpreter& in, const Value& self, const CallArgs& args, std::string_view name,
                  bool left, bool right) {
  const TextArgs plain(name, args, 0, 1);
  const std::string_view bytes = self.bytes();
  in.budget().scan(bytes.size());
  std::size_t begin = 0;
  std::size_t end = bytes.size();
  if (!plain.has(0)) {
    if (left) begin = leading_space(bytes);
    if (right) end -= trailing_space(bytes.substr(begin));
    return subtext(in.budget(), self, begin, end);
  }
  const std::string_view set = plain.text(0).bytes();
  while (left && begin < end) {
    std::size_t size = 0;
    decode(bytes, begin, size);
    in.budget().scan(set.size());
    if (!in_set(set, bytes.substr(begin, size))) break;
    begin += size;
  }
  while (right && begin < end) {
    std::size_t start = end - 1;
    while (start > begin && (static_cast<unsigned char>(bytes[start]) & 0xc0) == 0x80) --start;
    in.budget().scan(set.size());
    if (!in_set(set, bytes.substr(start, end - start))) break;
    end = start;
  }
  return subtext(in.budget(), self, begin, end);
}

Value strip(Interpreter& in, const Value& self, const CallArgs& args) {
  return strip_sides(in, self, args, "strip", true, true);
}
Value lstrip(Interpreter& in, const Value& self, const CallArgs& args) {
  return strip_sides(in, self, args, "lstrip", true, false);
}
Value rstrip(Interpreter& in, const Value& self, const CallArgs& args) {
  return strip_sides(in, self, args, "rstrip", false, true);
}

// Splits at whitespace runs, from the left, at most `limit` times.
std::vector<Value> split_space(Interpreter& in, const Value& self, std::int64_t limit) {
  const std::string_view bytes = self.bytes();
  Items items(in.budget());
  std::size_t at = leading_space(bytes);
  while (at < bytes.size()) {
    in.budget().step();
    if (static_cast<std::int64_t>(items.size()) == limit) {
      items.push(subtext(in.budget(), self, at, bytes.size()));
      break;
    }
    std::size_t end = at;
    while (end < bytes.size()) {
      std::size_t size = 0;
      if (is_space(decode(bytes, end, size))) break;
      end += size;
    }
    items.push(subtext(in.budget(), self, at, end));
    at = end + leading_space(bytes.substr(end));
  }
  return items.take();
}

std::vector<Value> rsplit_space(Interpreter& in, const Value& self, std::int64_t limit) {
  const std::string_view bytes = self.bytes();
  Items items(in.budget());
  std::size_t end = bytes.size() - trailing_space(bytes);
  while (end > 0) {
    in.budget().step();
    if (static_cast<std::int64_t>(items.size()) == limit) {
      items.push(subtext(in.budget(), self, 0, end));
      break;
    }
    std::size_t begin = end;
    while (begin > 0) {
      std::size_t start = begin - 1;
      while (start > 0 && (static_cast<unsigned char>(bytes[start]) & 0xc0) == 0x80) --start;
      std::size_t size = 0;
      if (is_space(decode(bytes, start, size))) break;
      begin = start;
    }
    items.push(subtext(in.budget(), self, begin, end));
    end = begin - trailing_space(bytes.substr(0, begin));
  }
  auto out = items.take();
  std::reverse(out.begin(), out.end());
  return out;
}

std::size_t find_last(Interpreter& in, std::string_view text, std::string_view part) {
  // The search from the right compares at every offset: pay for the worst case.
  in.budget().step(text.size() / 512 * (1 + part.size() / 64));
  return text.rfind(part);
}

Value split(Interpreter& in, const Value& self, const CallArgs& args) {
  const Bound bound("split", args, {"sep", "maxsplit"});
  std::int64_t limit = bound.integer(1, -1);
  if (limit < 0) limit = kAll;
  in.budget().scan(self.bytes().size());
  if (bound[0] == nullptr || bound[0]->is_none()) {
    return make_list(in.budget(), split_space(in, self, limit));
  }
  if (!bound[0]->is_string()) {
    raise("TypeError", "must be str or None, not {}", type_name(*bound[0]));
  }
  const std::string_view bytes = self.bytes();
  const std::string_view part = bound[0]->bytes();
  if (part.empty()) raise("ValueError", "empty separator");
  Items items(in.budget());
  std::size_t at = 0;
  for (; limit > 0; --limit) {
    in.budget().step(1 + part.size() / 64);
    const std::size_t found = find_bytes(bytes, part, at);
    if (found == std::string_view::npos) break;
    items.push(subtext(in.budget(), self, at, found));
    at = found + part.size();
  }
  items.push(subtext(in.budget(), self, at, bytes.size()));
  return make_list(in.budget(), items.take());
}

Value rsplit(Interpreter& in, const Value& self, const CallArgs& args) {
  const Bound bound("rsplit", args, {"sep", "maxsplit"});
  std::int64_t limit = bound.integer(1, -1);
  if (limit < 0) limit = kAll;
  in.budget().scan(self.bytes().size());
  if (bound[0] == nullptr || bound[0]->is_none()) {
    return make_list(in.budget(), rsplit_space(in, self, limit));
  }
  if (!bound[0]->is_string()) {
    raise("TypeError", "must be str or None, not {}", type_name(*bound[0]));
  }
  std::string_view bytes = self.bytes();
  const std::string_view part = bound[0]->bytes();
  if (part.empty()) raise("ValueError", "empty separator");
  Items items(in.budget());
  for (; limit > 0; --limit) {
    in.budget().step();
    const std::size_t found = find_last(in, bytes, part);
    if (found == std::string_view::npos) break;
    items.push(subtext(in.budget(), self, found + part.size(), bytes.size()));
    bytes = bytes.substr(0, found);
  }
  items.push(subtext(in.budget(), self, 0, bytes.size()));
  auto out = items.take();
  std::reverse(out.begin(), out.end());
  return make_list(in.budget(), std::move(out));
}

Value split_lines(Interpreter& in, const Value& self, const CallArgs& args) {
  const Bound bound("splitlines", args, {"keepends"});
  const bool keep = bound.flag(0, false);
  const std::string_view bytes = self.bytes();
  in.budget().scan(bytes.size());
  Items items(in.budget());
  std::size_t start = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, at, size);
    const std::size_t end = at;
    at += size;
    const bool breaks = (point >= 0x0a && point <= 0x0d) || (point >= 0x1c && point <= 0x1e) ||
                        point == 0x85 || point == 0x2028 || point == 0x2029;
    if (!breaks) continue;
    if (point == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    in.budget().step();
    items.push(subtext(in.budget(), self, start, keep ? at : end));
    start = at;
  }
  if (start < bytes.size()) items.push(subtext(in.budget(), self, start, bytes.size()));
  return make_list(in.budget(), items.take());
}

// The part of the text that optional start and end arguments (code points) select.
struct Window {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool valid = true;
};
Window window(Interpreter& in, const Value& self, const CallArgs& args) {
  const auto count = static_cast<std::int64_t>(self.text().points);
  const auto bound = [&](std::size_t i, std::int64_t otherwise) {
    if (i >= args.positional.size() || args.positional[i].is_none()) return otherwise;
    std::int64_t at = index_of(args.positional[i], "slice indices must be integers or None");
    if (at < 0) at = at < -count ? 0 : at + count;
    return std::min(at, count + 1);
  };
  const std::int64_t begin = bound(1, 0);
  const std::int64_t end = std::min(bound(2, count), count);
  if (begin > end) return {0, 0, false};
  if (args.positional.size() > 1) in.budget().scan(self.bytes().size());
  return {offset_of(self.bytes(), static_cast<std::size_t>(begin)),
          offset_of(self.bytes(), static_cast<std::size_t>(end)), true};
}

Value has_side(Interpreter& in, const Value& self, const CallArgs& args, std::string_view name,
               bool front) {
  const TextArgs plain(name, args, 1, 3);
  const Window part = window(in, self, args);
  if (!part.valid) return Value::boolean(false);
  const std::string_view bytes = self.bytes().substr(part.begin, part.end - part.begin);
  const auto matches = [&](const Value& side) {
    in.budget().copy(side.bytes().size());
    return front ? bytes.starts_with(side.bytes()) : bytes.ends_with(side.bytes());
  };
  const Value& sides = args.positional[0];
  if (sides.is_string()) return Value::boolean(matches(sides));
  if (!sides.is(Kind::tuple)) {
    raise("TypeError", "{} first arg must be str or a tuple of str, not {}", name,
          type_name(sides));
  }
  for (const Value& side : sides.as<Sequence>().items) {
    in.budget().step();
    if (!side.is_string()) {
      raise("TypeError", "tuple for {} must only contain str, not {}", name, type_name(side));
    }
    if (matches(side)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value starts_with(Interpreter& in, const Value& self, const CallArgs& args) {
  return has_side(in, self, args, "startswith", true);
}
Value ends_with(Interpreter& in, const Value& self, const CallArgs& args) {
  return has_side(in, self, args, "endswith", false);
}

std::int64_t find_in(Interpreter& in, const Value& self, const CallArgs& args,
                     std::string_view name, bool last) {
  const TextArgs plain(name, args, 1, 3);
  const std::string_view part = plain.text(0).bytes();
  const Window range = window(in, self, args);
  if (!range.valid) return -1;
  const std::string_view bytes = self.bytes().substr(0, range.end);
  in.budget().scan(bytes.size());
  std::size_t found = std::string_view::npos;
  if (last) {
    found = find_last(in, bytes.substr(range.begin), part);
    if (found != std::string_view::npos) found += range.begin;
  } else {
    found = find_bytes(bytes, part, range.begin);
  }
  if (found == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(count_points(bytes.substr(0, found)));
}

template <bool last, bool must_find>
Value find(Interpreter& in, const Value& self, const CallArgs& args) {
  const std::int64_t found = find_in(in, self, args, "find", last);
  if (must_find && found < 0) raise("ValueError", "substring not found");
  return Value::integer(found);
}

Value count(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("count", args, 1, 3);
  const std::string_view part = plain.text(0).bytes();
  const Window range = window(in, self, args);
  if (!range.valid) return Value::integer(0);
  const std::string_view bytes = self.bytes().substr(0, range.end);
  in.budget().scan(bytes.size());
  if (part.empty()) {
    return Value::integer(static_cast<std::int64_t>(count_points(bytes.substr(range.begin))) + 1);
  }
  std::int64_t found = 0;
  for (std::size_t at = find_bytes(bytes, part, range.begin); at != std::string_view::npos;
       at = find_bytes(bytes, part, at + part.size())) {
    in.budget().step(1 + part.size() / 64);
    ++found;
  }
  return Value::integer(found);
}

Value replace(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("replace", args, 2, 3);
  const Text& text = self.text();
  const std::string_view bytes = text.bytes;
  const std::string_view part = plain.text(0).bytes();
  const Value with = text.markup ? escape_html(in.budget(), plain.text(1)) : plain.text(1);
  std::int64_t limit = plain.integer(2, -1);
  if (limit < 0) limit = kAll;
  in.budget().scan(bytes.size());
  TextBuilder out(in.budget());
  std::size_t at = 0;
  for (; limit > 0; --limit) {
    in.budget().step(1 + part.size() / 64);
    if (part.empty()) {
      out.append(with.text());
      if (at >= bytes.size()) return out.take(text.markup);
      std::size_t size = 0;
      decode(bytes, at, size);
      out.append(text, at, at + size);
      at += size;
      continue;
    }
    const std::size_t found = find_bytes(bytes, part, at);
    if (found == std::string_view::npos) break;
    out.append(text, at, found);
    out.append(with.text());
    at = found + part.size();
  }
  if (at == 0) return self;
  out.append(text, at, bytes.size());
  return out.take(text.markup);
}

Value join(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("join", args, 1, 1);
  if (!is_iterable(args.positional[0])) raise("TypeError", "can only join an iterable");
  TextBuilder out(in.budget());
  Cursor cursor(args.positional[0]);
  Value item;
  for (std::size_t i = 0; cursor.next(in.budget(), item); ++i) {
    in.budget().step();
    if (i > 0) out.append(self.text());
    if (!item.is_string()) {
      raise("TypeError", "sequence item {}: expected str instance, {} found", i, type_name(item));
    }
    out.append((self.text().markup ? escape_html(in.budget(), item) : item).text());
  }
  return out.take(self.text().markup);
}

template <bool last>
Value partition(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("partition", args, 1, 1);
  const std::string_view part = plain.text(0).bytes();
  const std::string_view bytes = self.bytes();
  if (part.empty()) raise("ValueError", "empty separator");
  in.budget().scan(bytes.size());
  const std::size_t found = last ? find_last(in, bytes, part) : find_bytes(bytes, part, 0);
  const Value empty = make_text(in.budget(), {}, true, self.text().markup);
  if (found == std::string_view::npos) {
    return make_tuple(in.budget(), last ? std::vector<Value>{empty, empty, self}
                                        : std::vector<Value>{self, empty, empty});
  }
  return make_tuple(in.budget(), {subtext(in.budget(), self, 0, found),
                                  subtext(in.budget(), self, found, found + part.size()),
                                  subtext(in.budget(), self, found + part.size(), bytes.size())});
}

template <bool front>
Value remove_side(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain(front ? "removeprefix" : "removesuffix", args, 1, 1);
  const std::string_view part = plain.text(0).bytes();
  const std::size_t size = self.bytes().size();
  if (part.empty() || !(front ? self.bytes().starts_with(part) : self.bytes().ends_with(part))) {
    return self;
  }
  return front ? subtext(in.budget(), self, part.size(), size)
               : subtext(in.budget(), self, 0, size - part.size());
}

}  // namespace

const std::vector<MethodEntry> kTextSearchMethods = {
    {kText, "count", count},
    {kText, "endswith", ends_with},
    {kText, "find", find<false, false>},
    {kText, "index", find<false, true>},
    {kText, "join", join},
    {kText, "lstrip", lstrip},
    {kText, "partition", partition<false>},
    {kText, "removeprefix", remove_side<true>},
    {kText, "removesuffix", remove_side<false>},
    {kText, "replace", replace},
    {kText, "rfind", find<true, false>},
    {kText, "rindex", find<true, true>},
    {kText, "rpartition", partition<true>},
    {kText, "rsplit", rsplit},
    {kText, "rstrip", rstrip},
    {kText, "split", split},
    {kText, "splitlines", split_lines},
    {kText, "startswith", starts_with},
    {kText, "strip", strip},
};

}  // namespace weir::jinja
