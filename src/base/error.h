// The one exception type of Weir. Thrown where the world is at fault (files, user input, network);
// the message says what was expected, what was found and what to do. Contract breaks inside the
// program use WEIR_CHECK, which throws the same type with Code::internal.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

enum class Code {
  invalid_argument,  // an option, key or parameter is wrong
  not_found,         // a file, model, tensor or name does not exist
  io,                // the operating system refused or failed
  bad_format,        // bytes do not follow their format
  unsupported,       // well-formed, but Weir cannot do it
  limit_exceeded,    // a stated limit (size, depth, memory, context) was passed
  numeric,           // NaN or infinity where a number was needed
  cancelled,         // the caller asked to stop
  unavailable,       // full or shutting down now; the same request may succeed later
  internal,          // a contract inside Weir was broken
};

/// Stable lower-case name of a code, as used in logs and API errors.
std::string_view code_name(Code code);

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

/// Throws Error{code} with a message in fmt syntax.
template <typename... Args>
[[noreturn]] void fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& detail);

}  // namespace weir

/// Checks a contract in every build; a break throws Error{internal} and so fails one request only.
#define WEIR_CHECK(condition, ...)                                                         \
  do {                                                                                     \
    if (!(condition)) [[unlikely]]                                                         \
      ::weir::check_failed(#condition, __FILE__, __LINE__, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
