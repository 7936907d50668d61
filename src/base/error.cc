#include "base/error.h"

namespace weir {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::not_found:
      return "not_found";
    case Code::io:
      return "io";
    case Code::bad_format:
      return "bad_format";
    case Code::unsupported:
      return "unsupported";
    case Code::limit_exceeded:
      return "limit_exceeded";
    case Code::numeric:
      return "numeric_error";
    case Code::cancelled:
      return "cancelled";
    case Code::unavailable:
      return "unavailable";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

void check_failed(const char* condition, const char* file, int line, const std::string& detail) {
  const std::string_view path(file);
  const auto slash = path.rfind('/');
  throw Error(Code::internal,
              fmt::format("internal check failed: {} ({}:{}){}{}", condition,
                          slash == std::string_view::npos ? path : path.substr(slash + 1), line,
                          detail.empty() ? "" : ": ", detail));
}

}  // namespace weir
