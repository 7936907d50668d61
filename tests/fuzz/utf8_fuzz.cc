// Any bytes as what a model says, cut anywhere (R14): each piece of the answer is whole UTF-8, also
// behind a stop text, and the pieces joined are the same however the bytes were cut. The first line
// is the stop text, the next byte the length of the cuts.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "decoding/stop.h"
#include "text/utf8.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

std::string filtered(std::string_view bytes, size_t cut) {
  weir::Utf8Filter filter;
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += cut) {
    const std::string piece = filter.push(bytes.substr(at, cut));
    require(weir::is_valid_utf8(piece));
    text += piece;
  }
  const std::string rest = filter.finish();
  require(weir::is_valid_utf8(rest));
  return text + rest;
}

/// The answer as a client gets it.
std::string stopped(const std::string& text, const std::string& stop, size_t cut) {
  weir::StopMatcher matcher({stop});
  weir::Utf8Filter filter;
  std::string answer;
  for (size_t at = 0; at < text.size(); at += cut) {
    const auto out = matcher.push(filter.push(std::string_view(text).substr(at, cut)));
    require(weir::is_valid_utf8(out.emit));
    answer += out.emit;
    if (out.stopped) return answer;
  }
  const std::string rest = matcher.finish();
  require(weir::is_valid_utf8(rest));
  return answer + rest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  const std::string_view stop = input.substr(0, line);
  const std::string_view rest = line == std::string_view::npos ? "" : input.substr(line + 1);
  const size_t cut = rest.empty() ? 1 : 1 + static_cast<uint8_t>(rest[0]) % 7;
  const std::string_view bytes = rest.empty() ? rest : rest.substr(1);

  const std::string whole = filtered(bytes, bytes.size() + 1);
  require(filtered(bytes, cut) == whole);
  require(filtered(whole, cut) == whole);
  if (weir::is_valid_utf8(bytes)) require(whole == bytes);
  if (stop.empty() || !weir::is_valid_utf8(stop)) return 0;
  require(stopped(whole, std::string(stop), cut) == whole.substr(0, whole.find(stop)));
  return 0;
}
