// A read-only trie over byte strings: longest and all prefixes of a text that are keys. Used for
// special tokens, Unigram pieces and WordPiece words. No recursion; memory is about 12 bytes a
// node.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

class Trie {
 public:
  Trie() = default;
  /// Keys may be in any order; empty keys are left out; of equal keys the first wins.
  explicit Trie(std::vector<std::pair<std::string_view, int32_t>> keys);

  bool empty() const { return nodes_.empty(); }
  bool may_start(char first) const { return root_[static_cast<uint8_t>(first)] != 0; }

  struct Match {
    size_t length = 0;  // bytes; 0 means no key
    int32_t value = -1;
  };
  Match longest_prefix(std::string_view text) const {
    Match best;
    for_each_prefix(text, [&](size_t length, int32_t value) { best = {length, value}; });
    return best;
  }

  /// Calls visit(length, value) for every key that is a prefix of `text`, shortest first.
  template <typename Visit>
  void for_each_prefix(std::string_view text, Visit&& visit) const {
    if (text.empty()) return;
    uint32_t node = root_[static_cast<uint8_t>(text[0])];
    for (size_t length = 1; node != 0; ++length) {
      if (nodes_[node].value >= 0) visit(length, nodes_[node].value);
      if (length == text.size()) return;
      node = child(node, static_cast<uint8_t>(text[length]));
    }
  }

 private:
  struct Node {
    uint32_t first_child = 0;
    uint16_t children = 0;
    uint8_t label = 0;
    int32_t value = -1;
  };
  uint32_t child(uint32_t parent, uint8_t label) const {
    const Node& node = nodes_[parent];
    uint32_t low = node.first_child;
    uint32_t high = low + node.children;
    while (low < high) {
      const uint32_t middle = (low + high) / 2;
      if (nodes_[middle].label < label) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < node.first_child + node.children && nodes_[low].label == label ? low : 0;
  }

  std::vector<Node> nodes_;  // node 0 stands for "none"
  std::array<uint32_t, 256> root_{};
};

}  // namespace weir
