#include "engine/disk_tier.h"

#include "cache/page_identity.h"

namespace weir {

DiskTier::DiskTier(DiskStoreOptions options)
    : queue_bytes_(options.queue_bytes), store_(std::move(options)) {}

PageKey DiskTier::first_key(std::string_view identity) const { return first_page_key(identity); }

PageKey DiskTier::next_key(const PageKey& before, std::span<const int32_t> tokens) const {
  return page_key(page_name(before, tokens));
}

bool DiskTier::get(const PageKey& before, std::span<const int32_t> tokens,
                   std::span<std::byte> page) {
  const std::string name = page_name(before, tokens);
  return store_.get(page_key(name), name, page);
}

bool DiskTier::put(const PageKey& before, std::span<const int32_t> tokens,
                   std::span<const std::byte> page) {
  // A queue that is half full leaves room for pages that are evicted right now.
  if (store_.counters().queued_bytes > queue_bytes_ / 2) return false;
  const std::string name = page_name(before, tokens);
  store_.put(page_key(name), name, page);
  return true;
}

}  // namespace weir
