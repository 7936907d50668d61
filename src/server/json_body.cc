#include "server/json_body.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/json_guard.h"
#include "text/utf8.h"

namespace weir {
namespace {

using nlohmann::json;

/// Builds the value event by event, so that a second member of the same name can be refused and
/// not silently win.
class StrictReader : public nlohmann::json_sax<json> {
 public:
  explicit StrictReader(size_t most_values) : room_(most_values) {}

  json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (stack_.back()->contains(name))
      fail(Code::bad_format, "the JSON body: the member '{}' stands twice in one object",
           name.substr(0, valid_utf8_prefix(std::string_view(name).substr(0, 64))));
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string_view what = error.what();  // "[json.exception.parse_error.101] parse error at …"
    if (const auto end = what.find("] "); end != std::string_view::npos)
      what.remove_prefix(end + 2);
    fail(Code::bad_format, "the body is not JSON (at byte {}): {}", position, what.substr(0, 160));
  }

 private:
  json* place(json value) {
    if (room_-- == 0)
      fail(Code::limit_exceeded,
           "the JSON body has too many values; give long token lists as text");
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    json& slot = parent[key_];
    slot = std::move(value);
    return &slot;
  }
  bool put(json value) {
    place(std::move(value));
    return true;
  }
  // Only the innermost container grows, so the pointers to those around it stay valid.
  bool open(json container) {
    stack_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  size_t room_;
  json root_;
  std::vector<json*> stack_;
  std::string key_;
};

}  // namespace

json parse_json_body(std::string_view text, const JsonLimits& limits) {
  if (text.empty()) fail(Code::bad_format, "the body is empty, expected JSON");
  if (text.starts_with("\xef\xbb\xbf"))
    fail(Code::bad_format, "the body begins with a byte order mark, expected JSON in UTF-8");
  if (const size_t valid = valid_utf8_prefix(text); valid != text.size())
    fail(Code::bad_format, "the body is not UTF-8 at byte {}", valid);
  guard_json(text, limits.depth, text.size() + 1, "the body", 0);
  StrictReader reader(limits.values);
  json::sax_parse(text, &reader);
  return reader.take();
}

json parse_json_body(std::string_view text) { return parse_json_body(text, JsonLimits()); }

json parse_json_object(std::string_view text) {
  json body = parse_json_body(text);
  if (!body.is_object())
    fail(Code::bad_format, "the body must be a JSON object, but is a JSON {}", body.type_name());
  return body;
}

bool is_text(const nlohmann::json& value, std::string_view text) {
  const auto* string = value.get_ptr<const std::string*>();
  return string != nullptr && *string == text;
}

}  // namespace weir
