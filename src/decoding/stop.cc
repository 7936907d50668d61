#include "decoding/stop.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace weir {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (auto& stop : stops) {
    if (stop.empty()) {
      fail(Code::invalid_argument, "option 'stop' must be non-empty texts, but got an empty one");
    }
    Pattern pattern;
    pattern.text = std::move(stop);
    const std::string& text = pattern.text;
    pattern.borders.resize(text.size());
    size_t border = 0;
    for (size_t i = 1; i < text.size(); ++i) {
      while (border > 0 && text[i] != text[border]) border = pattern.borders[border - 1];
      if (text[i] == text[border]) ++border;
      pattern.borders[i] = border;
    }
    patterns_.push_back(std::move(pattern));
  }
}

std::string_view StopMatcher::held() const {
  std::string_view longest;
  for (const Pattern& pattern : patterns_) {
    if (pattern.state > longest.size()) {
      longest = std::string_view(pattern.text).substr(0, pattern.state);
    }
  }
  return longest;
}

StopMatcher::Output StopMatcher::push(std::string_view text) {
  Output output;
  output.stopped = matched_.has_value();
  if (output.stopped) return output;
  // The held text is the start of a stop text, so its bytes need no memory of their own.
  const std::string_view before = held();
  size_t end = before.size() + text.size();
  for (size_t i = 0; i < text.size() && !output.stopped; ++i) {
    for (size_t p = 0; p < patterns_.size(); ++p) {
      Pattern& pattern = patterns_[p];
      size_t& state = pattern.state;
      while (state > 0 && text[i] != pattern.text[state]) state = pattern.borders[state - 1];
      if (text[i] == pattern.text[state]) ++state;
      if (state < pattern.text.size()) continue;
      if (!matched_ || pattern.text.size() > patterns_[*matched_].text.size()) matched_ = p;
      output.stopped = true;
    }
    if (output.stopped) end = before.size() + i + 1 - patterns_[*matched_].text.size();
  }
  if (!output.stopped) end -= held().size();
  output.emit = before.substr(0, end);
  if (end > before.size()) output.emit += text.substr(0, end - before.size());
  if (output.stopped) {
    for (Pattern& pattern : patterns_) pattern.state = 0;
  }
  return output;
}

std::string StopMatcher::finish() {
  std::string rest(held());
  for (Pattern& pattern : patterns_) pattern.state = 0;
  return rest;
}

bool is_stop_id(std::span<const int32_t> stop_ids, int32_t id) {
  return std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end();
}

}  // namespace weir
