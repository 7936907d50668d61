// When an answer ends by what it says: stop texts and stop tokens. Owns the search for stop texts
// in a stream and holds back text that may be the start of one; refuses to count tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// Finds the stop text that is complete first; of those complete at the same byte, the longest.
/// Knuth-Morris-Pratt for each stop text: time is linear in the text, memory in the stop texts.
class StopMatcher {
 public:
  /// Error{invalid_argument} if a stop text is empty.
  explicit StopMatcher(std::vector<std::string> stops);

  struct Output {
    std::string emit;      // text that is certainly part of the answer
    bool stopped = false;  // a stop text was found; the answer ends before it
  };

  /// Takes the next piece of the answer. Once stopped, nothing more is emitted.
  Output push(std::string_view text);

  /// The answer ended otherwise: gives the text that was held back.
  std::string finish();

  /// Index of the stop text that was found.
  std::optional<size_t> matched() const { return matched_; }

 private:
  struct Pattern {
    std::string text;
    std::vector<size_t> borders;  // [i]: longest proper border of the first i + 1 bytes
    size_t state = 0;             // bytes of the text that end the stream
  };
  // The end of the stream that may start a stop text.
  std::string_view held() const;

  std::vector<Pattern> patterns_;
  std::optional<size_t> matched_;
};

/// Whether `id` ends the answer; `stop_ids` as in SamplingParams.
bool is_stop_id(std::span<const int32_t> stop_ids, int32_t id);

}  // namespace weir
