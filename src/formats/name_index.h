// Finds entries of a list by name: positions sorted by (hash of the name, name). Comparing costs
// O(n log n) even if a hostile file makes all hashes equal, where a hash table would need O(n²).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

class NameIndex {
 public:
  NameIndex() = default;

  /// `name_of(i)` gives the name of entry i < count (< 2^32) as std::string_view.
  template <typename NameOf>
  NameIndex(size_t count, const NameOf& name_of) {
    slots_.reserve(count);
    for (size_t i = 0; i < count; ++i)
      slots_.push_back({hash_of(name_of(i)), static_cast<uint32_t>(i)});
    std::sort(slots_.begin(), slots_.end(), [&](const Slot& a, const Slot& b) {
      if (a.hash != b.hash) return a.hash < b.hash;
      const int order = name_of(a.entry).compare(name_of(b.entry));
      return order != 0 ? order < 0 : a.entry < b.entry;
    });
  }

  /// Two entries with one name, the earlier first; nothing if all names differ.
  template <typename NameOf>
  std::optional<std::pair<size_t, size_t>> duplicate(const NameOf& name_of) const {
    for (size_t i = 1; i < slots_.size(); ++i) {
      const Slot &a = slots_[i - 1], &b = slots_[i];
      if (a.hash == b.hash && name_of(a.entry) == name_of(b.entry)) return {{a.entry, b.entry}};
    }
    return std::nullopt;
  }

  template <typename NameOf>
  std::optional<size_t> find(std::string_view name, const NameOf& name_of) const {
    const uint32_t hash = hash_of(name);
    const auto it =
        std::lower_bound(slots_.begin(), slots_.end(), name, [&](const Slot& a, std::string_view) {
          return a.hash != hash ? a.hash < hash : name_of(a.entry) < name;
        });
    if (it == slots_.end() || it->hash != hash || name_of(it->entry) != name) return std::nullopt;
    return it->entry;
  }

 private:
  struct Slot {
    uint32_t hash;
    uint32_t entry;
  };
  static uint32_t hash_of(std::string_view name) {
    return static_cast<uint32_t>(std::hash<std::string_view>()(name));
  }
  std::vector<Slot> slots_;
};

}  // namespace weir
