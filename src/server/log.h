// The server's log: one event, one line, as text or JSON. Owns the format and the escaping of what
// others wrote; refuses prompts and answers (callers never hand them over) and files: lines go to
// the function it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weir {

enum class LogFormat { text, json };

class EventLog {
 public:
  using Value = std::variant<std::string, int64_t, double, bool>;
  using Fields = std::vector<std::pair<std::string_view, Value>>;

  /// `sink` gets whole lines with their line feed, one at a time. Empty: nothing is written.
  EventLog(LogFormat format, std::function<void(std::string_view)> sink);

  /// `level`: "info", "warning" or "error".
  void write(std::string_view level, std::string_view event, const Fields& fields);

 private:
  const LogFormat format_;
  const std::function<void(std::string_view)> sink_;
  std::mutex mutex_;
};

/// Text in one line that no terminal acts on: control characters (also U+0080 to U+009F, U+2028,
/// U+2029), backslashes and bytes that are not UTF-8 become \xHH or \u{H}.
std::string escape_for_log(std::string_view text);

}  // namespace weir
