#include "cache/disk_index.h"

#include <algorithm>
#include <cstring>

namespace weir {
namespace {

// Uses beyond count no more: a segment stays at most so many turnovers after its last use.
constexpr double kMostUses = 16;

}  // namespace

// Keys are SHA-256 values: any eight bytes of them are spread evenly.
size_t DiskIndex::KeyHash::operator()(const PageKey& key) const {
  size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof(hash));
  return hash;
}

void DiskIndex::add(const std::string& file, uint64_t bytes, std::span<const SegmentEntry> entries,
                    double order) {
  auto segment = std::make_shared<DiskSegment>();
  segment->file = file;
  segment->bytes = bytes;
  segment->worth = age_ + order;
  segment->keys.reserve(entries.size());
  segments_.push_back(segment);
  try {
    for (const SegmentEntry& entry : entries)
      if (places_.try_emplace(entry.key, Place{segment, entry}).second)
        segment->keys.push_back(entry.key);
  } catch (...) {  // all of it or nothing
    for (const PageKey& key : segment->keys) places_.erase(key);
    segments_.pop_back();
    throw;
  }
  bytes_ += bytes;
}

const DiskIndex::Place* DiskIndex::find(const PageKey& key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &found->second;
}

void DiskIndex::hit(DiskSegment& segment) {
  ++segment.hits;
  const double pages = static_cast<double>(std::max<size_t>(segment.keys.size(), 1));
  segment.worth = age_ + 1 + std::min(static_cast<double>(segment.hits) / pages, kMostUses);
}

DiskIndex::SegmentPointer DiskIndex::victim() const {
  const auto least =
      std::min_element(segments_.begin(), segments_.end(),
                       [](const auto& a, const auto& b) { return a->worth < b->worth; });
  return least == segments_.end() ? nullptr : *least;
}

bool DiskIndex::remove(const SegmentPointer& segment) {
  const auto at = std::find(segments_.begin(), segments_.end(), segment);
  if (at == segments_.end()) return false;
  segments_.erase(at);
  for (const PageKey& key : segment->keys) places_.erase(key);
  bytes_ -= segment->bytes;
  age_ = std::max(age_, segment->worth);
  return true;
}

void DiskIndex::clear() {
  places_.clear();
  segments_.clear();
  bytes_ = 0;
}

}  // namespace weir
