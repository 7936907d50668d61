// What a KV page is the page of: its content depends on all of this and on nothing else. Owns the
// bytes that are hashed and compared; two different identities never have the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"

namespace weir {

using PageKey = Digest;

struct PageIdentity {
  Digest model;                 // SHA-256 that stands for the weights, with adapters if any
  std::string cache_type;       // "f16"
  std::string attention;        // attention policy: "full", or what the engine calls its other ones
  uint32_t numerics = 1;        // version of the arithmetic, docs/numerics.md
  std::string tenant;           // pages never cross tenants
  PageKey parent;               // key of the page before; all zero for the first
  std::vector<int32_t> tokens;  // ids in this page

  /// Tagged fields with their lengths: distinct identities give distinct bytes.
  std::string bytes() const;
};

/// SHA-256 of identity.bytes(); through `parent` it covers all tokens before, too.
PageKey page_key(const PageIdentity& identity);
PageKey page_key(std::string_view identity_bytes);

}  // namespace weir
