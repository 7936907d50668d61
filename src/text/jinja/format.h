// Python's two ways to format text: 'x' % y and 'x'.format(y).
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace weir::jinja {

struct CallArgs;

Value percent_format(Budget& budget, const Value& format, const Value& args);
Value brace_format(Budget& budget, const Value& format, const CallArgs& args);

/// A float in the style of printf ('e', 'f', 'g', upper case too).
std::string format_real(double value, char type, int precision, bool alternate = false);

}  // namespace weir::jinja
