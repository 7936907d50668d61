// Finds entries of a list by name: a sorted list of positions. O(n log n) to make whatever the
// names are (a hash table could be flooded by a hostile file), four bytes an entry.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

class NameIndex {
 public:
  NameIndex() = default;

  /// `name_of(i)` gives the name of entry i < count as std::string_view.
  template <typename NameOf>
  NameIndex(size_t count, const NameOf& name_of) : order_(count) {
    std::iota(order_.begin(), order_.end(), uint32_t{0});
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      const int order = name_of(a).compare(name_of(b));
      return order != 0 ? order < 0 : a < b;
    });
  }

  /// Two entries with one name, the earlier first; nothing if all names differ.
  template <typename NameOf>
  std::optional<std::pair<size_t, size_t>> duplicate(const NameOf& name_of) const {
    for (size_t i = 1; i < order_.size(); ++i)
      if (name_of(order_[i - 1]) == name_of(order_[i])) return {{order_[i - 1], order_[i]}};
    return std::nullopt;
  }

  template <typename NameOf>
  std::optional<size_t> find(std::string_view name, const NameOf& name_of) const {
    const auto it =
        std::lower_bound(order_.begin(), order_.end(), name,
                         [&](uint32_t i, std::string_view wanted) { return name_of(i) < wanted; });
    if (it == order_.end() || name_of(*it) != name) return std::nullopt;
    return *it;
  }

 private:
  std::vector<uint32_t> order_;
};

}  // namespace weir
