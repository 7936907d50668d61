#include "server/framing.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "server/api_error.h"

namespace weir {
namespace {

[[noreturn]] void refuse(int status, const std::string& message) {
  throw ApiError(status, "invalid_request_error", message);
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool same_word(std::string_view a, std::string_view b) {
  const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return small(x) == small(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

void check_request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    refuse(400, "the request line must be METHOD TARGET VERSION");
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(line.substr(0, first))) refuse(400, "the method is no token");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (version.starts_with("HTTP/")) refuse(505, "only HTTP/1.1 and HTTP/1.0 are served");
    refuse(400, "the request line must end with HTTP/1.1");
  }
  // Only the origin form: no proxying, so no absolute targets.
  const bool plain =
      std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 127; });
  if (!plain || (!target.starts_with('/') && target != "*"))
    refuse(400, "the request target must be a path");
}

struct Seen {
  int hosts = 0, lengths = 0, encodings = 0;
};

void check_field(std::string_view line, Seen& seen) {
  if (line.front() == ' ' || line.front() == '\t') refuse(400, "folded header lines are refused");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) refuse(400, "a header name is no token");
  const std::string_view value = trim(line.substr(colon + 1));
  if (same_word(name, "Host")) ++seen.hosts;
  if (same_word(name, "Content-Length")) {
    ++seen.lengths;
    const bool digits =
        !value.empty() && value.size() <= 18 &&
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) refuse(400, "Content-Length must be one plain number");
  }
  if (same_word(name, "Transfer-Encoding")) {
    ++seen.encodings;
    if (!same_word(value, "chunked")) refuse(501, "the only transfer encoding is 'chunked'");
  }
}

}  // namespace

std::optional<size_t> find_head(std::string_view bytes, const HeadLimits& limits) {
  size_t start = 0, lines = 0;
  const std::string_view window = bytes.substr(0, std::min(bytes.size(), limits.total));
  while (true) {
    const auto end = window.find('\n', start);
    const size_t length = (end == std::string_view::npos ? window.size() : end + 1) - start;
    if (length > limits.line)
      refuse(lines == 0 ? 414 : 431,
             fmt::format("a header line of more than {} bytes", limits.line));
    if (end == std::string_view::npos) break;
    if (end == start || (end == start + 1 && window[start] == '\r')) return end + 1;
    if (lines++ > limits.fields)
      refuse(431, fmt::format("more than {} header lines", limits.fields));
    start = end + 1;
  }
  if (bytes.size() >= limits.total)
    refuse(431, fmt::format("a header of more than {} bytes", limits.total));
  return std::nullopt;
}

void check_head(std::string_view head) {
  Seen seen;
  bool first = true, http_1_0 = false;
  size_t at = 0;
  while (at < head.size()) {
    const auto end = head.find('\n', at);
    if (end == std::string_view::npos || end == at || head[end - 1] != '\r')
      refuse(400, "header lines must end with CR LF");
    const std::string_view line = head.substr(at, end - 1 - at);
    at = end + 1;
    for (const char c : line)
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
        refuse(400, "a control byte in the header");
    if (line.empty()) {
      if (first || at != head.size()) refuse(400, "an empty line before the end of the header");
      break;
    }
    if (first) {
      check_request_line(line);
      http_1_0 = line.ends_with("1.0");
    } else {
      check_field(line, seen);
    }
    first = false;
  }
  if (seen.hosts != 1)
    refuse(400, seen.hosts == 0 ? "the Host header is missing" : "more than one Host header");
  if (seen.lengths > 1) refuse(400, "more than one Content-Length");
  if (seen.encodings > 1) refuse(400, "more than one Transfer-Encoding");
  if (seen.encodings > 0 && (seen.lengths > 0 || http_1_0))
    refuse(400, "Transfer-Encoding with a Content-Length or in HTTP/1.0");
}

}  // namespace weir
