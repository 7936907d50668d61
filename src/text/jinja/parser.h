// Template source to syntax tree, after Jinja's grammar with the loop controls and the generation
// tag. Refuses what needs other templates (extends, include, import, block) and, as Jinja does when
// it compiles, unknown filters and tests outside of conditions.
#pragma once

#include <memory>
#include <string_view>

#include "text/jinja/ast.h"

namespace weir::jinja {

/// Throws Error{bad_format} with line and construct, Error{limit_exceeded} for nesting deeper than
/// `depth` or a source above 1 MiB.
std::shared_ptr<const Program> parse_program(std::string_view source, int depth);

}  // namespace weir::jinja
