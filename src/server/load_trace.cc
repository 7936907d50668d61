#include "server/load_trace.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace weir {
namespace {

constexpr int64_t kLongest = int64_t{1} << 30;  // tokens

int64_t count(std::string_view text, size_t line) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > kLongest)
    fail(Code::bad_format, "line {} of the trace: expected a count of tokens, but got '{}'", line,
         text.substr(0, 40));
  return value;
}

/// "2023-11-16 18:17:03.9799600" as seconds since 1970.
double azure_seconds(const std::string& text, size_t line) {
  std::tm tm{};
  double seconds = 0;
  int used = 0;
  const int fields = std::sscanf(text.c_str(), "%4d-%2d-%2d %2d:%2d:%lf%n", &tm.tm_year, &tm.tm_mon,
                                 &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &seconds, &used);
  if (fields != 6 || static_cast<size_t>(used) != text.size() || !(seconds >= 0 && seconds < 61))
    fail(Code::bad_format, "line {} of the trace: expected YYYY-MM-DD HH:MM:SS.s, but got '{}'",
         line, text.substr(0, 40));
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  return static_cast<double>(timegm(&tm)) + seconds;
}

TraceArrival azure_row(std::string_view row, size_t line) {
  const auto first = row.find(','), second = row.find(',', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos)
    fail(Code::bad_format, "line {} of the trace: expected three columns", line);
  return {azure_seconds(std::string(row.substr(0, first)), line),
          count(row.substr(first + 1, second - first - 1), line),
          count(row.substr(second + 1), line)};
}

TraceArrival mooncake_row(std::string_view row, size_t line) {
  const auto json = nlohmann::json::parse(row, nullptr, false);
  const auto number = [&](const char* name) {
    const auto at = json.is_object() ? json.find(name) : json.end();
    if (!json.is_object() || at == json.end() || !at->is_number())
      fail(Code::bad_format, "line {} of the trace: expected an object with a number '{}'", line,
           name);
    const double value = at->get<double>();
    if (!(value >= 0 && value <= 1e15))
      fail(Code::bad_format, "line {} of the trace: '{}' is out of range", line, name);
    return value;
  };
  const auto tokens = [&](const char* name) {
    return static_cast<int64_t>(std::min(number(name), static_cast<double>(kLongest)));
  };
  return {number("timestamp") / 1000, tokens("input_length"), tokens("output_length")};
}

}  // namespace

std::vector<TraceArrival> parse_trace(std::string_view content) {
  std::vector<TraceArrival> arrivals;
  bool azure = false;
  for (size_t line = 1; !content.empty(); ++line) {
    const auto end = std::min(content.find('\n'), content.size());
    std::string_view row = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (row.empty()) continue;
    if (line == 1 && row.starts_with("TIMESTAMP,"))
      azure = true;
    else
      arrivals.push_back(azure ? azure_row(row, line) : mooncake_row(row, line));
  }
  if (arrivals.empty()) fail(Code::bad_format, "the trace has no rows");
  std::stable_sort(
      arrivals.begin(), arrivals.end(),
      [](const TraceArrival& a, const TraceArrival& b) { return a.seconds < b.seconds; });
  const double start = arrivals.front().seconds;
  for (TraceArrival& arrival : arrivals) arrival.seconds -= start;
  return arrivals;
}

}  // namespace weir
