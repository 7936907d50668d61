#include "text/jinja/budget.h"

namespace weir::jinja {

void Budget::steps_exceeded() const {
  throw LimitHit{fmt::format("the template needs more than {} steps", limits_.steps)};
}

void Budget::memory_exceeded(std::size_t bytes) {
  used_ -= bytes;
  throw LimitHit{
      fmt::format("the template's values need more than {} bytes of memory", limits_.memory)};
}

void Budget::too_large(std::size_t bytes) const {
  throw LimitHit{
      fmt::format("a value of {} bytes is larger than the {} bytes that the output may have", bytes,
                  limits_.output)};
}

}  // namespace weir::jinja
