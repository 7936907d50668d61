// Building a trie from sorted keys, one level at a time, so that the children of a node lie
// together.
#include "text/trie.h"

#include <algorithm>
#include <deque>

namespace weir {

Trie::Trie(std::vector<std::pair<std::string_view, int32_t>> keys) {
  std::erase_if(keys, [](const auto& key) { return key.first.empty(); });
  if (keys.empty()) return;
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  struct Range {
    uint32_t node;  // its key is the first `depth` bytes of keys [begin, end)
    uint32_t depth;
    size_t begin, end;
  };
  nodes_.emplace_back();
  std::deque<Range> open{{0, 0, 0, keys.size()}};
  while (!open.empty()) {
    Range range = open.front();
    open.pop_front();
    if (keys[range.begin].first.size() == range.depth) {
      nodes_[range.node].value = keys[range.begin].second;
      while (range.begin < range.end && keys[range.begin].first.size() == range.depth) {
        ++range.begin;
      }
    }
    nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
    while (range.begin < range.end) {
      const auto label = static_cast<uint8_t>(keys[range.begin].first[range.depth]);
      size_t end = range.begin;
      while (end < range.end && static_cast<uint8_t>(keys[end].first[range.depth]) == label) ++end;
      const auto node = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({0, 0, label, -1});
      ++nodes_[range.node].children;
      if (range.depth == 0) root_[label] = node;
      open.push_back({node, range.depth + 1, range.begin, end});
      range.begin = end;
    }
  }
  nodes_.shrink_to_fit();
}

}  // namespace weir
