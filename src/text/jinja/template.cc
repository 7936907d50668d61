#include "text/jinja/template.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/jinja/ast.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

// Names that templates paste between the marks of a special token, as in '<|' + role + '|>'.
constexpr std::array<std::string_view, 8> kRoles = {"system",   "user",      "assistant", "tool",
                                                    "function", "developer", "ipython",   "model"};

// JSON to values. The input is the caller's memory: it is not charged to the rendering, but its
// nesting is bounded like that of every value.
class Importer {
 public:
  Importer(const Variable& variable, int limit) : variable_(variable), limit_(limit) {}

  Value convert(const nlohmann::ordered_json& json, bool trusted) {
    switch (json.type()) {
      case nlohmann::ordered_json::value_t::boolean:
        return Value::boolean(json.get<bool>());
      case nlohmann::ordered_json::value_t::number_integer:
        return Value::integer(json.get<std::int64_t>());
      case nlohmann::ordered_json::value_t::number_unsigned: {
        const auto number = json.get<std::uint64_t>();
        if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
          fail(Code::invalid_argument, "chat template input '{}': {} does not fit in 64 bits",
               variable_.name, number);
        }
        return Value::integer(static_cast<std::int64_t>(number));
      }
      case nlohmann::ordered_json::value_t::number_float:
        return Value::real(json.get<double>());
      case nlohmann::ordered_json::value_t::string:
        return text(json.get_ref<const std::string&>(), trusted);
      case nlohmann::ordered_json::value_t::array:
        return list(json);
      case nlohmann::ordered_json::value_t::object:
        return dict(json);
      default:
        return {};
    }
  }

 private:
  Value text(const std::string& bytes, bool trusted) {
    if (!valid_utf8(bytes)) {
      fail(Code::invalid_argument, "chat template input '{}' holds text that is not UTF-8",
           variable_.name);
    }
    std::vector<Run> runs;
    if (!bytes.empty()) runs.push_back({bytes.size(), trusted});
    return Value(Kind::string, std::make_shared<Text>(nullptr, bytes, std::move(runs), false));
  }

  void enter() {
    if (++depth_ > limit_) {
      fail(Code::limit_exceeded, "chat template input '{}' is nested deeper than {}",
           variable_.name, limit_);
    }
  }

  Value list(const nlohmann::ordered_json& json) {
    enter();
    std::vector<Value> items;
    items.reserve(json.size());
    for (const auto& item : json) items.push_back(convert(item, variable_.trusted));
    --depth_;
    return Value(Kind::list, std::make_shared<Sequence>(nullptr, std::move(items)));
  }

  Value dict(const nlohmann::ordered_json& json) {
    enter();
    auto out = std::make_shared<Dict>(nullptr);
    for (const auto& [key, item] : json.items()) {
      const bool role = variable_.trusted_roles && key == "role" && item.is_string() &&
                        std::find(kRoles.begin(), kRoles.end(),
                                  item.get_ref<const std::string&>()) != kRoles.end();
      out->set(text(key, variable_.trusted), convert(item, variable_.trusted || role));
    }
    --depth_;
    return Value(Kind::dict, std::move(out));
  }

  const Variable& variable_;
  const int limit_;
  int depth_ = 0;
};

std::string place(const Interpreter& in, const Program& program) {
  const Node* node = in.current();
  if (node == nullptr) return "chat template";
  return fmt::format("chat template, line {}, {}", node->line, describe(*node, program));
}

}  // namespace

Template Template::parse(std::string_view source, int depth) {
  return Template(parse_program(source, depth));
}

Rendered Template::render(const std::vector<Variable>& variables, const std::tm& now,
                          const Limits& limits) const {
  Budget budget(limits);
  Interpreter interpreter(*program_, budget, now);
  for (const Variable& variable : variables) {
    Value value;
    if (variable.value != nullptr) {
      value = Importer(variable, limits.depth).convert(*variable.value, variable.trusted);
    }
    interpreter.define(variable.name, value);
  }
  try {
    TextBuilder out(budget);
    interpreter.run(out);
    Rendered rendered;
    for (const Run& run : out.runs()) rendered.runs.push_back({run.end, run.trusted});
    rendered.text = out.take_bytes();
    rendered.steps = budget.steps();
    return rendered;
  } catch (const Raise& raised) {
    const bool by_template = raised.type == "TemplateError";
    fail(by_template ? Code::invalid_argument : Code::bad_format, "{}: {}: {}",
         place(interpreter, *program_), raised.type, raised.message);
  } catch (const LimitHit& hit) {
    fail(Code::limit_exceeded, "{}: {}", place(interpreter, *program_), hit.message);
  }
}

}  // namespace weir::jinja
