// Which complete pages hold which prefixes: a tree with a page of 16 tokens a node and a root for
// each identity (tenant, model, KV type). Owns a reference to the page of every node, decides which
// unused prefix leaves the pool first and where it goes (RAM, a store). Refuses clocks: time
// counts look-ups. A node is found by hash and then compared token by token below its own parent,
// so a collision costs time and never gives another text's page.
//
// Where memory cannot be had, use_root() and insert() throw std::bad_alloc and have changed
// nothing, the store counts as empty, and the rest needs none.
//
// Paths in use are in the pool from the root on; what was evicted to RAM hangs below what is in the
// pool, because leaves go first.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/page_pool.h"
#include "cache/page_store.h"
#include "cache/swap_space.h"

namespace weir {

class PrefixIndex {
 public:
  using NodeId = int32_t;
  static constexpr NodeId kNone = -1;
  static constexpr int64_t kTokens = kernels::kPageTokens;

  /// `swap` and `store` may be null: evicted pages are then forgotten. `hash_seed`: so that no one
  /// outside can make tokens that collide.
  PrefixIndex(PagePool& pool, SwapSpace* swap, PageStore* store, uint64_t hash_seed);
  ~PrefixIndex();
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  /// The root of an identity; it and every node that use() or insert() gave stay until release().
  NodeId use_root(const std::string& identity);

  /// The nodes that hold the first pages of `tokens`, at most `most`, appended to `path`. A look-up
  /// by a request counts as a use (`counts`), a question does not.
  void match(NodeId root, std::span<const int32_t> tokens, int64_t most, bool counts,
             std::vector<NodeId>& path);

  bool in_pool(NodeId id) const { return node(id).page >= 0; }
  PagePool::PageId page(NodeId id) const { return node(id).page; }

  /// Marks a node as used by one more sequence: it is not evicted.
  void use(NodeId id);
  void release(NodeId id);

  /// Gives a used node that lies in RAM its content back, in a page that the index then owns.
  void bring_back(NodeId id, PagePool::PageId page);

  /// The node below `parent` (in use) for 16 tokens, used once more. If it is new or was in RAM,
  /// its page is `page`, which gets a reference; else the caller may take page(result) instead of
  /// its own.
  NodeId insert(NodeId parent, std::span<const int32_t> tokens, PagePool::PageId page);

  /// The same with a page whose content comes from the store. kNone if the store has it not; the
  /// page's content is then undefined.
  NodeId restore(NodeId parent, std::span<const int32_t> tokens, PagePool::PageId page);

  /// Gives the store what it has not got yet, at most so many pages. True if there is more and the
  /// store would take it.
  bool persist(int64_t most);
  bool has_unstored() const { return !unstored_.empty(); }

  /// Frees one page of the pool. False if every page here is in use.
  bool evict();
  /// Makes a free place in RAM. False if none can be freed.
  bool evict_from_ram();

  int64_t idle_pages() const { return idle_; }  // of the pool, which evict() can free
  int64_t pool_pages() const { return in_pool_; }
  int64_t ram_pages() const { return in_ram_; }
  uint64_t evictions() const { return evictions_; }

 private:
  struct Node {
    NodeId parent = kNone;
    NodeId child = kNone, next = kNone, previous = kNone;  // first child; siblings
    int32_t users = 0;
    int32_t pool_children = 0;
    PagePool::PageId page = -1;
    SwapSpace::Slot slot = -1;
    uint64_t hash = 0;
    uint64_t last_used = 0, uses = 0;
    uint64_t rank = 0;  // in leaves_ or ram_leaves_ while it is there
    bool listed = false;
    bool stored = false;  // was given to the store
    PageKey key{};        // only with a store
    std::array<int32_t, kTokens> tokens{};
  };
  using Leaves = std::set<std::pair<uint64_t, NodeId>>;

  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  bool is_root(const Node& n) const { return n.parent == kNone; }
  uint64_t hash_of(NodeId parent, std::span<const int32_t> tokens) const;
  NodeId find(NodeId parent, std::span<const int32_t> tokens, uint64_t hash) const;
  void prepare();                       // what the next make() needs
  NodeId make(NodeId parent) noexcept;  // after prepare()
  bool store(NodeId id);
  void list(NodeId id);    // as a leaf that may be evicted, if it is one
  void unlist(NodeId id);  // before anything that decides about it changes
  void into_pool(NodeId id, PagePool::PageId page);
  void out_of_pool(NodeId id);
  void forget(NodeId id);          // a node without children, page and place
  void forget_subtree(NodeId id);  // a node out of the pool and all below it, which lie in RAM

  PagePool& pool_;
  SwapSpace* swap_;
  PageStore* store_;
  std::deque<std::pair<NodeId, PageKey>> unstored_;  // some may be gone or stored since
  uint64_t seed_;
  std::vector<Node> nodes_;
  std::vector<NodeId> spare_;  // room for all nodes
  std::vector<Leaves::node_type>
      entries_;  // of leaves_ and ram_leaves_: one for each node not there
  std::map<std::string, NodeId> roots_;
  std::unordered_map<NodeId, std::string> identities_;
  std::unordered_multimap<uint64_t, NodeId> by_hash_;
  Leaves leaves_, ram_leaves_;  // unused, worst first; made of entries_
  uint64_t now_ = 0;
  int64_t idle_ = 0, in_pool_ = 0, in_ram_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace weir
