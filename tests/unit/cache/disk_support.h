// Pages whose content follows from their number, so that any test can tell a right page from a
// wrong one.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cache/disk_store.h"
#include "cache/page_identity.h"

namespace weir::test {

struct Page {
  std::string name;
  PageKey key;
  std::vector<std::byte> bytes;
};

inline Page make_page(uint32_t number, size_t bytes = 3000) {
  Page page;
  const auto id = static_cast<int32_t>(number);
  page.name = page_name(first_page_key("test"), std::vector<int32_t>{id, id + 1, id + 2});
  page.key = page_key(page.name);
  page.bytes.resize(bytes);
  uint64_t state = number + 1;
  for (std::byte& byte : page.bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>(state >> 56);
  }
  return page;
}

inline void put(DiskStore& store, const Page& page) { store.put(page.key, page.name, page.bytes); }

enum class Got { nothing, right, wrong };

inline Got get(DiskStore& store, const Page& page) {
  std::vector<std::byte> bytes(page.bytes.size());
  if (!store.get(page.key, page.name, bytes)) return Got::nothing;
  return bytes == page.bytes ? Got::right : Got::wrong;
}

/// How many of the pages 0 … count - 1 are there; -1 if one is wrong.
inline int count_right(DiskStore& store, uint32_t count, size_t bytes = 3000) {
  int right = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const Got got = get(store, make_page(i, bytes));
    if (got == Got::wrong) return -1;
    right += got == Got::right ? 1 : 0;
  }
  return right;
}

/// Writes on the caller's thread, in flush(); room for about `pages` pages of 3000 bytes.
inline DiskStoreOptions plain_options(const std::filesystem::path& folder, uint64_t pages = 1000) {
  DiskStoreOptions options;
  options.folder = folder;
  options.max_bytes = pages * 3200;
  options.segment_bytes = 4 * 3200;
  options.keep_free_bytes = 0;
  options.background = false;
  return options;
}

}  // namespace weir::test
