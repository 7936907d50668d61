#include "server/log.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/ollama_answer.h"
#include "text/utf8.h"

namespace weir {
namespace {

constexpr size_t kLongestField = 1024;  // bytes

std::string text_of(const EventLog::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    std::string escaped = escape_for_log(std::string_view(*text).substr(0, kLongestField));
    const bool bare = !escaped.empty() && escaped.find_first_of(" \"=") == std::string::npos;
    if (bare) return escaped;
    std::string quoted = "\"";
    for (const char c : escaped) quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
    return quoted + '"';
  }
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.6g}", *number);
  return std::get<bool>(value) ? "true" : "false";
}

nlohmann::ordered_json json_of(const EventLog::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value))
    return escape_for_log(std::string_view(*text).substr(0, kLongestField));
  if (const auto* number = std::get_if<int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::get<bool>(value);
}

std::string now_text() {
  using namespace std::chrono;
  return rfc3339(duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
}

}  // namespace

std::string escape_for_log(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint point = decode_utf8(text, at);
    const auto value = static_cast<uint32_t>(point.value);
    if (!point.valid || value < 0x20 || value == 0x7f)
      out += fmt::format("\\x{:02x}", value);
    else if ((value >= 0x80 && value < 0xa0) || value == 0x2028 || value == 0x2029)
      out += fmt::format("\\u{{{:x}}}", value);
    else if (value == '\\')
      out += "\\\\";
    else
      out.append(text, at, point.bytes);
    at += point.bytes;
  }
  return out;
}

EventLog::EventLog(LogFormat format, std::function<void(std::string_view)> sink)
    : format_(format), sink_(std::move(sink)) {}

void EventLog::write(std::string_view level, std::string_view event, const Fields& fields) {
  if (!sink_) return;
  std::string line;
  if (format_ == LogFormat::json) {
    nlohmann::ordered_json json = {{"time", now_text()}, {"level", level}, {"event", event}};
    for (const auto& [name, value] : fields) json[std::string(name)] = json_of(value);
    line = json.dump(-1, ' ', true);
  } else {
    line = fmt::format("{} {} {}", now_text(), level, event);
    for (const auto& [name, value] : fields) line += fmt::format(" {}={}", name, text_of(value));
  }
  line += '\n';
  const std::lock_guard lock(mutex_);
  sink_(line);
}

}  // namespace weir
