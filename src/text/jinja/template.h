// A parsed template, rendered against a JSON object of variables: the engine below chat templates.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/budget.h"

namespace weir::jinja {

struct Program;
class Value;

/// A stretch of the output: written by the template (or by a trusted variable), or a value.
struct OutputRun {
  std::size_t end;  // byte offset behind it; runs follow each other
  bool trusted;
};

struct Rendered {
  std::string text;
  std::vector<OutputRun> runs;
  std::uint64_t steps = 0;  // spent of Limits::steps
};

/// One variable. `trusted_roles`: texts under the key "role" that are plain role names count as
/// written by the template (the messages of a conversation).
struct Variable {
  std::string name;
  const nlohmann::ordered_json* value = nullptr;
  bool trusted = false;
  bool trusted_roles = false;
};

class Template {
 public:
  /// Throws Error{bad_format, limit_exceeded}, naming line and construct.
  static Template parse(std::string_view source, int depth = Limits{}.depth);

  /// Throws Error: invalid_argument if the template itself refuses (raise_exception), bad_format
  /// for any other failure of the template on these values, limit_exceeded.
  Rendered render(const std::vector<Variable>& variables, const std::tm& now,
                  const Limits& limits) const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

}  // namespace weir::jinja
