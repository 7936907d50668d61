// What the content of KV pages depends on beside the tokens, and the keys of pages. Owns the bytes
// that are hashed and compared; two different identities never have the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "cache/page_store.h"

namespace weir {

struct PrefixIdentity {
  Digest model{};         // stands for the weights, with adapters if any
  std::string kv_type;    // "f16"
  std::string attention;  // attention policy: "full", or what the engine calls its other ones
  uint32_t numerics = 1;  // version of the arithmetic, docs/numerics.md
  std::string tenant;     // pages never cross tenants

  /// Tagged fields with their lengths.
  std::string bytes() const;
};

/// The key before the first page: SHA-256 of PrefixIdentity::bytes().
PageKey first_page_key(std::string_view identity);

/// What a page is the page of, given the key before it: that key and the ids, tagged. Together with
/// the chain of keys it covers the identity and all tokens before.
std::string page_name(const PageKey& before, std::span<const int32_t> tokens);

/// The key of the page: SHA-256 of its name.
PageKey page_key(std::string_view name);

}  // namespace weir
