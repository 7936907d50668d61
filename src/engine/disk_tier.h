// The disk store as the prefix index sees it: keys made from identities and tokens, and no more
// pages at once than the store's queue takes.
#pragma once

#include "cache/disk_store.h"
#include "cache/page_store.h"

namespace weir {

class DiskTier : public PageStore {
 public:
  explicit DiskTier(DiskStoreOptions options);

  PageKey first_key(std::string_view identity) const override;
  PageKey next_key(const PageKey& before, std::span<const int32_t> tokens) const override;
  bool get(const PageKey& before, std::span<const int32_t> tokens,
           std::span<std::byte> page) override;
  bool put(const PageKey& before, std::span<const int32_t> tokens,
           std::span<const std::byte> page) override;
  void flush() override { store_.flush(); }
  int64_t pages() const override { return static_cast<int64_t>(store_.counters().pages); }
  int64_t bytes() const override { return static_cast<int64_t>(store_.counters().bytes); }

 private:
  uint64_t queue_bytes_;
  DiskStore store_;
};

}  // namespace weir
