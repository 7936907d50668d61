// What the scheduler knows of one request: what it asked for, its tokens, its page table, and where
// it stands. Plain data; the scheduler alone changes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/page_pool.h"
#include "cache/prefix_index.h"
#include "cache/swap_space.h"
#include "engine/engine.h"

namespace weir {

/// A request as it enters the scheduler.
struct NewRequest {
  std::vector<int32_t> tokens;  // the prompt
  int64_t limit = 0;            // positions that it can come to need, prompt and answer
  Priority priority = Priority::normal;
  std::string identity;  // whose prefixes it may share
  bool share = true;     // read and fill the prefix index
  bool states = false;   // wants the states of all prompt tokens, and no answer
  double deadline = std::numeric_limits<double>::infinity();
  std::shared_ptr<const std::atomic<bool>> cancel;
};

struct RequestState {
  using Order = std::pair<double, uint64_t>;

  uint64_t id = 0;
  NewRequest asked;             // without its tokens
  std::vector<int32_t> tokens;  // prompt and answer so far
  int64_t prompt = 0;           // how many of them are the prompt
  int64_t computed = 0;         // positions whose keys and values are in the pages
  int64_t cached = 0;           // of the prompt, found instead of computed when it first ran
  PrefixIndex::NodeId root = PrefixIndex::kNone;  // held from submission to the end
  Order order;  // arrival, later for lower classes: who runs, who yields

  // While it runs. Pages [0, nodes.size()) are complete and shared through the prefix index.
  std::vector<PagePool::PageId> pages;
  std::vector<std::byte*> addresses;
  std::vector<PrefixIndex::NodeId> nodes;
  bool may_restore = false;  // the next page may lie in the store

  // While it waits after a preemption: its own pages from `saved_from` on, positions up to
  // `saved_computed`.
  std::vector<SwapSpace::Slot> saved;
  int64_t saved_from = 0, saved_computed = 0;

  int32_t preemptions = 0;
  bool admitted = false;    // has run before
  uint64_t waits_for = 0;   // id of the running request that computes its prefix now; 0: none
  int64_t waits_until = 0;  // positions of it that must be there

  int64_t left() const { return static_cast<int64_t>(tokens.size()) - computed; }
};

}  // namespace weir
