// The tree, and its two lists of leaves: those that may leave the pool and those that may leave
// RAM. Whatever a leaf's place in a list depends on changes only between unlist() and list().
#include "cache/prefix_index.h"

#include <algorithm>
#include <bit>
#include <new>

#include "base/error.h"

namespace weir {
namespace {

// Each doubling of its uses keeps a prefix as if it had been used so many look-ups later.
constexpr uint64_t kLookupsPerDoubling = 16;

uint64_t mix(uint64_t x) {  // the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

PrefixIndex::PrefixIndex(PagePool& pool, SwapSpace* swap, PageStore* store, uint64_t hash_seed)
    : pool_(pool), swap_(swap), store_(store), seed_(mix(hash_seed + 0x9e3779b97f4a7c15u)) {}

PrefixIndex::~PrefixIndex() {
  for (const Node& n : nodes_) {
    if (n.page >= 0) pool_.release(n.page);
    if (n.slot >= 0) swap_->release(n.slot);
  }
}

uint64_t PrefixIndex::hash_of(NodeId parent, std::span<const int32_t> tokens) const {
  uint64_t hash = mix(seed_ + static_cast<uint64_t>(parent));
  for (size_t i = 0; i + 1 < tokens.size(); i += 2)
    hash = mix(hash ^ (static_cast<uint64_t>(static_cast<uint32_t>(tokens[i])) << 32 |
                       static_cast<uint32_t>(tokens[i + 1])));
  return hash;
}

PrefixIndex::NodeId PrefixIndex::find(NodeId parent, std::span<const int32_t> tokens,
                                      uint64_t hash) const {
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Node& n = node(it->second);
    if (n.parent == parent && std::equal(tokens.begin(), tokens.end(), n.tokens.begin()))
      return it->second;
  }
  return kNone;
}

/// Makes sure that a spare node, its place in a list and its way back to the spare ones are there.
void PrefixIndex::prepare() {
  if (!spare_.empty()) return;
  if (nodes_.size() == nodes_.capacity()) nodes_.reserve(std::max<size_t>(64, 2 * nodes_.size()));
  spare_.reserve(nodes_.capacity());
  entries_.reserve(nodes_.capacity());
  Leaves one{{0, kNone}};
  nodes_.emplace_back();
  entries_.push_back(one.extract(one.begin()));
  spare_.push_back(static_cast<NodeId>(nodes_.size() - 1));
}

PrefixIndex::NodeId PrefixIndex::make(NodeId parent) noexcept {
  const NodeId id = spare_.back();
  spare_.pop_back();
  Node& n = node(id);
  n = Node();
  n.parent = parent;
  if (parent == kNone) return id;
  Node& p = node(parent);
  n.next = p.child;
  if (p.child != kNone) node(p.child).previous = id;
  p.child = id;
  return id;
}

PrefixIndex::NodeId PrefixIndex::use_root(const std::string& identity) {
  auto it = roots_.find(identity);
  if (it == roots_.end()) {
    prepare();
    const PageKey key = store_ != nullptr ? store_->first_key(identity) : PageKey{};
    identities_.emplace(spare_.back(), identity);
    try {
      it = roots_.emplace(identity, spare_.back()).first;
    } catch (...) {
      identities_.erase(spare_.back());
      throw;
    }
    node(make(kNone)).key = key;
  }
  ++node(it->second).users;
  return it->second;
}

void PrefixIndex::match(NodeId root, std::span<const int32_t> tokens, int64_t most, bool counts,
                        std::vector<NodeId>& path) {
  if (counts) ++now_;
  NodeId at = root;
  for (int64_t i = 0; i < most && (i + 1) * kTokens <= static_cast<int64_t>(tokens.size()); ++i) {
    const auto part = tokens.subspan(static_cast<size_t>(i * kTokens), kTokens);
    at = find(at, part, hash_of(at, part));
    if (at == kNone) return;
    if (counts) {
      unlist(at);
      node(at).last_used = now_;
      ++node(at).uses;
      list(at);
    }
    path.push_back(at);
  }
}

void PrefixIndex::list(NodeId id) {
  Node& n = node(id);
  if (n.users > 0 || is_root(n)) return;
  const bool pool_leaf = n.page >= 0 && n.pool_children == 0;
  const bool ram_leaf = n.slot >= 0 && n.child == kNone;
  if (!pool_leaf && !ram_leaf) return;
  n.rank = n.last_used + kLookupsPerDoubling * static_cast<uint64_t>(std::bit_width(n.uses));
  entries_.back().value() = {n.rank, id};
  (pool_leaf ? leaves_ : ram_leaves_).insert(std::move(entries_.back()));
  entries_.pop_back();
  n.listed = true;
}

void PrefixIndex::unlist(NodeId id) {
  Node& n = node(id);
  if (!n.listed) return;
  Leaves& leaves = n.page >= 0 ? leaves_ : ram_leaves_;
  entries_.push_back(leaves.extract({n.rank, id}));
  n.listed = false;
}

void PrefixIndex::use(NodeId id) {
  unlist(id);
  Node& n = node(id);
  if (++n.users == 1 && n.page >= 0) --idle_;
}

void PrefixIndex::release(NodeId id) {
  Node& n = node(id);
  WEIR_CHECK(n.users > 0, "prefix node {} is not in use", id);
  if (--n.users > 0) return;
  if (is_root(n)) {
    if (n.child == kNone) forget(id);
    return;
  }
  if (n.page >= 0) ++idle_;
  list(id);
}

void PrefixIndex::into_pool(NodeId id, PagePool::PageId page) {
  Node& n = node(id);
  unlist(id);
  if (n.slot >= 0) {
    swap_->release(n.slot);
    n.slot = -1;
    --in_ram_;
  }
  n.page = page;
  ++in_pool_;
  if (n.users == 0) ++idle_;
  unlist(n.parent);
  ++node(n.parent).pool_children;
  list(n.parent);
}

void PrefixIndex::out_of_pool(NodeId id) {
  Node& n = node(id);
  unlist(id);
  pool_.release(n.page);
  n.page = -1;
  --in_pool_;
  if (n.users == 0) --idle_;
  unlist(n.parent);
  --node(n.parent).pool_children;
  list(n.parent);
}

void PrefixIndex::bring_back(NodeId id, PagePool::PageId page) {
  WEIR_CHECK(node(id).slot >= 0 && node(id).users > 0, "prefix node {} is not in RAM", id);
  swap_->load(node(id).slot, pool_.address(page));
  into_pool(id, page);
}

PrefixIndex::NodeId PrefixIndex::insert(NodeId parent, std::span<const int32_t> tokens,
                                        PagePool::PageId page) {
  WEIR_CHECK(tokens.size() == kTokens && node(parent).users > 0);
  const uint64_t hash = hash_of(parent, tokens);
  NodeId id = find(parent, tokens, hash);
  if (id == kNone) {
    prepare();
    PageKey key{};
    if (store_ != nullptr) {
      key = store_->next_key(node(parent).key, tokens);
      if (unstored_.size() > 2 * nodes_.size())  // a slow store; most of these are gone
        std::erase_if(unstored_, [&](const auto& e) { return node(e.first).key != e.second; });
      unstored_.emplace_back(spare_.back(), key);
    }
    by_hash_.emplace(hash, spare_.back());
    unlist(parent);
    id = make(parent);
    Node& n = node(id);
    n.hash = hash;
    n.key = key;
    std::copy(tokens.begin(), tokens.end(), n.tokens.begin());
    n.last_used = now_;
    n.uses = 1;
  }
  use(id);
  if (node(id).page < 0) {
    pool_.retain(page);
    into_pool(id, page);
  }
  return id;
}

PrefixIndex::NodeId PrefixIndex::restore(NodeId parent, std::span<const int32_t> tokens,
                                         PagePool::PageId page) {
  if (store_ == nullptr) return kNone;
  const std::span<std::byte> content(pool_.address(page), pool_.layout().page_bytes());
  try {
    if (!store_->get(node(parent).key, tokens, content)) return kNone;
    const NodeId id = insert(parent, tokens, page);
    node(id).stored = true;
    return id;
  } catch (const std::bad_alloc&) {
    return kNone;
  }
}

/// False if the store wants to be asked again.
bool PrefixIndex::store(NodeId id) {
  Node& n = node(id);
  if (store_ == nullptr || n.stored || n.page < 0) return true;
  const std::span<const std::byte> content(pool_.address(n.page), pool_.layout().page_bytes());
  try {
    n.stored = store_->put(node(n.parent).key, n.tokens, content);
  } catch (const std::bad_alloc&) {
    n.stored = false;
  }
  return n.stored;
}

bool PrefixIndex::persist(int64_t most) {
  for (; most > 0 && !unstored_.empty(); --most) {
    const auto [id, key] = unstored_.front();
    if (node(id).key == key && !store(id)) return false;
    unstored_.pop_front();
  }
  return !unstored_.empty();
}

bool PrefixIndex::evict() {
  if (leaves_.empty()) return false;
  const NodeId id = leaves_.begin()->second;
  store(id);
  ++evictions_;
  std::optional<SwapSpace::Slot> slot;
  if (swap_ != nullptr) {
    slot = swap_->store(pool_.address(node(id).page));
    if (!slot && evict_from_ram()) slot = swap_->store(pool_.address(node(id).page));
  }
  out_of_pool(id);
  if (!slot) {
    forget_subtree(id);
    return true;
  }
  node(id).slot = *slot;
  ++in_ram_;
  list(id);
  return true;
}

bool PrefixIndex::evict_from_ram() {
  if (ram_leaves_.empty()) return false;
  forget_subtree(ram_leaves_.begin()->second);
  return true;
}

void PrefixIndex::forget(NodeId id) {
  Node& n = node(id);
  unlist(id);
  if (n.slot >= 0) {
    swap_->release(n.slot);
    --in_ram_;
  }
  if (is_root(n)) {
    const auto it = identities_.find(id);
    roots_.erase(it->second);
    identities_.erase(it);
  } else {
    const auto [first, last] = by_hash_.equal_range(n.hash);
    by_hash_.erase(std::find_if(first, last, [id](const auto& e) { return e.second == id; }));
    Node& parent = node(n.parent);
    unlist(n.parent);
    if (n.previous != kNone) node(n.previous).next = n.next;
    if (n.next != kNone) node(n.next).previous = n.previous;
    if (parent.child == id) parent.child = n.next;
    const NodeId above = n.parent;
    n = Node();
    spare_.push_back(id);
    if (is_root(node(above)) && node(above).users == 0 && node(above).child == kNone)
      forget(above);
    else
      list(above);
    return;
  }
  n = Node();
  spare_.push_back(id);
}

void PrefixIndex::forget_subtree(NodeId id) {
  NodeId at = id;  // downwards to a leaf, which goes; a loop, because depth is the prompt's length
  while (true) {
    while (node(at).child != kNone) at = node(at).child;
    const NodeId above = node(at).parent;
    const bool last = at == id;
    forget(at);
    if (last) return;
    at = above;
  }
}

}  // namespace weir
