// Which page lies where on disk, and which segment goes first when room is needed. Owns the books
// of bytes; refuses files and locks (disk_store does both).
//
// Eviction is by segment, least frequently used with ageing: a segment's worth is the age at its
// last use plus its uses per page; the age is the worth of the last victim. What was hot long ago
// goes in the end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/disk_format.h"

namespace weir {

struct DiskSegment {
  std::string file;  // name in the folder
  uint64_t bytes = 0;
  std::vector<PageKey> keys;
  uint64_t hits = 0;
  double worth = 0;
  bool touched = false;  // its file's time was set since the start
};

class DiskIndex {
 public:
  using SegmentPointer = std::shared_ptr<DiskSegment>;
  struct Place {
    SegmentPointer segment;
    SegmentEntry entry;
  };

  /// Pages that are here already stay where they are. `order` in [0, 1]: how recently a segment
  /// from an earlier run was used, against the others of that run.
  void add(const std::string& file, uint64_t bytes, std::span<const SegmentEntry> entries,
           double order = 1);

  const Place* find(const PageKey& key) const;
  void hit(DiskSegment& segment);

  /// The segment that is worth least; null if there is none. It stays until remove().
  SegmentPointer victim() const;
  /// False if it was removed before.
  bool remove(const SegmentPointer& segment);
  void clear();

  uint64_t bytes() const { return bytes_; }
  size_t pages() const { return places_.size(); }
  size_t segments() const { return segments_.size(); }

 private:
  struct KeyHash {
    size_t operator()(const PageKey& key) const;
  };

  std::unordered_map<PageKey, Place, KeyHash> places_;
  std::vector<SegmentPointer> segments_;
  uint64_t bytes_ = 0;
  double age_ = 0;
};

}  // namespace weir
