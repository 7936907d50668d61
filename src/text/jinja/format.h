// Python's two ways to format text: 'x' % y and 'x'.format(y).
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace weir::jinja {

struct CallArgs;

Value percent_format(Budget& budget, const Value& format, const Value& args);
Value brace_format(Budget& budget, const Value& format, const CallArgs& args);

}  // namespace weir::jinja
