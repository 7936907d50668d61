// What a slower tier of pages looks like from above: pages by the key of everything that decides
// their content. Such a tier may lose pages at any time; it never gives wrong ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

/// SHA-256 over the identity (model, numerics, KV layout, tenant) and all tokens up to and with
/// those of the page.
using PageKey = std::array<std::byte, 32>;

class PageStore {
 public:
  virtual ~PageStore() = default;

  /// The key that stands before the first page of an identity, and that of the page with `tokens`
  /// after the one with key `before`.
  virtual PageKey first_key(std::string_view identity) const = 0;
  virtual PageKey next_key(const PageKey& before, std::span<const int32_t> tokens) const = 0;

  /// Fills `page` with the page of next_key(before, tokens) and returns true; false if it is not
  /// here or not whole, `page` is then undefined.
  virtual bool get(const PageKey& before, std::span<const int32_t> tokens,
                   std::span<std::byte> page) = 0;
  /// Keeps a copy, later and if it can. False: not now, ask again.
  virtual bool put(const PageKey& before, std::span<const int32_t> tokens,
                   std::span<const std::byte> page) = 0;
  /// Returns when everything that was put is kept or given up.
  virtual void flush() = 0;

  virtual int64_t pages() const = 0;
  virtual int64_t bytes() const = 0;
};

}  // namespace weir
