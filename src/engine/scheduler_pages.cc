// The scheduler's work with pages: who is admitted, who yields, what is shared, saved and restored.
#include <algorithm>
#include <new>

#include "base/checked.h"
#include "base/error.h"
#include "engine/scheduler.h"

namespace weir {

using kernels::kPageTokens;

namespace {

/// Complete pages that two texts have in common.
int64_t common_pages(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  const auto n = static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
  const auto [end, other] = std::mismatch(a.begin(), a.begin() + n, b.begin());
  return (end - a.begin()) / kPageTokens;
}

/// Pages that can be found for a request: its last token is always computed, for its logits.
int64_t findable_pages(const RequestState& r) {
  return (static_cast<int64_t>(r.tokens.size()) - 1) / kPageTokens;
}

}  // namespace

void Scheduler::admit() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    RequestState& r = **it;
    const auto running = static_cast<int64_t>(running_.size());
    auto victim = victim_for(r);
    if (running >= limits_.running && !victim) return;
    const auto available = [&] { return pool_.free_pages() + index_.idle_pages(); };
    if (!victim && blocked_ == r.id && available() <= blocked_pages_ && running >= blocked_running_)
      return;
    if (still_waits(r) || (r.asked.share && must_wait(r, found_pages(r)))) {
      ++it;
      continue;
    }
    while (static_cast<int64_t>(running_.size()) >= limits_.running || !try_admit(r)) {
      victim = victim_for(r);
      if (victim) {
        preempt(*victim);  // which comes behind this one
        continue;
      }
      blocked_ = r.id;
      blocked_pages_ = available();
      blocked_running_ = static_cast<int64_t>(running_.size());
      return;
    }
    Request request = std::move(*it);
    it = waiting_.erase(it);
    const auto place =
        std::upper_bound(running_.begin(), running_.end(), request,
                         [](const Request& a, const Request& b) { return a->order < b->order; });
    running_.insert(place, std::move(request));
  }
}

/// Pages of the request that the index has now.
int64_t Scheduler::found_pages(const RequestState& r) {
  path_.clear();
  index_.match(r.root, r.tokens, findable_pages(r), false, path_);
  return static_cast<int64_t>(path_.size());
}

/// True while the request that computes this one's prefix is not that far.
bool Scheduler::still_waits(const RequestState& r) const {
  for (const Request& other : running_)
    if (other->id == r.waits_for) return other->left() > 1 && other->computed < r.waits_until;
  return false;
}

/// True if a request that runs computes more of this one's prefix than the index has: waiting for
/// it is quicker than computing the same.
bool Scheduler::must_wait(RequestState& r, int64_t found) {
  for (const Request& other : running_) {
    if (other->id == r.waits_for || other->left() <= 1) continue;
    if (!other->asked.share || other->asked.identity != r.asked.identity) continue;
    const int64_t there = other->computed / kPageTokens;
    const int64_t common = std::min(common_pages(r.tokens, other->tokens), findable_pages(r));
    if (common <= there || common <= found) continue;
    r.waits_for = other->id;
    r.waits_until = common * kPageTokens;
    return true;
  }
  return false;
}

/// The running request of a lower class that yields to one that cannot be admitted otherwise.
std::optional<size_t> Scheduler::victim_for(const RequestState& r) const {
  for (size_t i = running_.size(); i-- > 0;) {
    const RequestState& other = *running_[i];
    if (other.asked.priority > r.asked.priority && r.order < other.order &&
        other.preemptions < kMostPreemptions)
      return i;
  }
  return std::nullopt;
}

/// Takes pages for all tokens (all positions it can come to need, if it was preempted often), with
/// what the index has. Changes nothing if they cannot be had.
bool Scheduler::try_admit(RequestState& r) {
  const bool whole = r.preemptions >= kMostPreemptions;
  const auto tokens = static_cast<int64_t>(r.tokens.size());
  const int64_t pages = div_up(whole ? r.asked.limit : tokens, kPageTokens);
  path_.clear();
  if (r.asked.share) index_.match(r.root, r.tokens, findable_pages(r), !r.admitted, path_);
  int64_t in_pool = 0;
  for (const auto node : path_) {
    index_.use(node);
    if (index_.in_pool(node)) ++in_pool;
  }
  const auto others = static_cast<int64_t>(running_.size());
  const int64_t spare = whole ? 0 : others;  // a page for each, so that it is not preempted at once
  const int64_t wanted = pages - in_pool + spare;
  if (pool_.free_pages() + index_.idle_pages() < wanted) {
    for (size_t i = path_.size(); i-- > 0;) index_.release(path_[i]);
    return false;
  }
  for (const auto node : path_) {
    if (!index_.in_pool(node)) {
      WEIR_CHECK(pool_.free_pages() > 0 || index_.evict());
      index_.bring_back(node, pool_.take());
    }
    const auto page = index_.page(node);
    pool_.retain(page);
    r.pages.push_back(page);
    r.addresses.push_back(pool_.address(page));
    r.nodes.push_back(node);
  }
  const auto found = static_cast<int64_t>(r.pages.size());
  while (static_cast<int64_t>(r.pages.size()) < pages) WEIR_CHECK(take_page(r));
  r.computed = found * kPageTokens;
  restore_saved(r, found);
  r.may_restore = r.asked.share && r.computed == found * kPageTokens;
  if (!r.admitted) {
    r.cached = r.computed;
    counters_.prompt_tokens += static_cast<uint64_t>(r.prompt);
    counters_.cached_tokens += static_cast<uint64_t>(r.cached);
  }
  r.admitted = true;
  return true;
}

/// Copies pages saved by preemption behind the `found` ones, if nothing is missing in between.
void Scheduler::restore_saved(RequestState& r, int64_t found) {
  for (int64_t page = found; found >= r.saved_from; ++page) {
    const int64_t i = page - r.saved_from;
    if (i >= static_cast<int64_t>(r.saved.size())) break;
    swap_->load(r.saved[static_cast<size_t>(i)], r.addresses[static_cast<size_t>(page)]);
    r.computed = std::min((page + 1) * kPageTokens, r.saved_computed);
  }
  drop_saved(r);
}

/// Brings pages of the prompt from the store into pages that the request holds already, at most
/// `pages`, which is counted down.
void Scheduler::restore_stored(RequestState& r, int64_t& pages) {
  const int64_t most = findable_pages(r);
  for (; pages > 0; --pages) {
    const auto page = static_cast<size_t>(r.computed / kPageTokens);
    r.may_restore = static_cast<int64_t>(page) < most && r.nodes.size() == page &&
                    r.computed % kPageTokens == 0;
    if (!r.may_restore) return;
    const auto part = std::span(r.tokens).subspan(page * kPageTokens, kPageTokens);
    const auto above = r.nodes.empty() ? r.root : r.nodes.back();
    const auto node = index_.restore(above, part, r.pages[page]);
    r.may_restore = node != PrefixIndex::kNone;
    if (!r.may_restore) return;
    share_page(r, node);
    r.computed += kPageTokens;
    if (r.preemptions == 0 && r.computed <= r.prompt) {
      r.cached += kPageTokens;
      counters_.cached_tokens += kPageTokens;
    }
  }
}

/// The next page of the request becomes that of a node, which may be another with the same content.
void Scheduler::share_page(RequestState& r, PrefixIndex::NodeId node) {
  const size_t i = r.nodes.size();
  r.nodes.push_back(node);
  const auto page = index_.page(node);
  if (page == r.pages[i]) return;
  pool_.retain(page);
  pool_.release(r.pages[i]);
  r.pages[i] = page;
  r.addresses[i] = pool_.address(page);
}

/// Gives the index the pages that are complete. Where it has no memory, it is asked again later.
void Scheduler::publish(RequestState& r) try {
  if (!r.asked.share) return;
  while (static_cast<int64_t>(r.nodes.size()) < r.computed / kPageTokens) {
    const size_t i = r.nodes.size();
    const auto part = std::span(r.tokens).subspan(i * kPageTokens, kPageTokens);
    share_page(r, index_.insert(i == 0 ? r.root : r.nodes[i - 1], part, r.pages[i]));
  }
} catch (const std::bad_alloc&) {
}

bool Scheduler::take_page(RequestState& r) {
  if (pool_.free_pages() == 0 && !index_.evict()) return false;
  const auto page = pool_.take();
  r.pages.push_back(page);
  r.addresses.push_back(pool_.address(page));
  return true;
}

void Scheduler::find_pages_for_decoding() {
  for (size_t i = 0; i < running_.size(); ++i) {
    RequestState& r = *running_[i];
    const auto needed =
        static_cast<size_t>(div_up(static_cast<int64_t>(r.tokens.size()), kPageTokens));
    while (r.pages.size() < needed && !take_page(r)) {
      // The last that may be disturbed; at worst this one, which holds the rest up no longer then.
      size_t victim = running_.size() - 1;
      while (victim > i && running_[victim]->preemptions >= kMostPreemptions) --victim;
      preempt(victim);
      if (victim == i) {
        --i;
        break;
      }
    }
  }
}

void Scheduler::preempt(size_t index) {
  Request request = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(index));
  RequestState& r = *request;
  ++r.preemptions;
  ++counters_.preemptions;
  save_pages(r);
  drop_pages(r);
  waiting_.insert(place_of(r), std::move(request));
}

/// Copies the pages that no one else has to RAM: all of them or none.
void Scheduler::save_pages(RequestState& r) {
  if (swap_ == nullptr) return;
  r.saved_from = static_cast<int64_t>(r.nodes.size());
  r.saved_computed = r.computed;
  const int64_t end = div_up(r.computed, kPageTokens);
  for (int64_t page = r.saved_from; page < end; ++page) {
    const std::byte* const content = r.addresses[static_cast<size_t>(page)];
    auto slot = swap_->store(content);
    if (!slot && index_.evict_from_ram()) slot = swap_->store(content);
    if (!slot) {
      drop_saved(r);
      return;
    }
    r.saved.push_back(*slot);
  }
}

void Scheduler::drop_saved(RequestState& r) {
  for (const auto slot : r.saved) swap_->release(slot);
  r.saved.clear();
}

void Scheduler::drop_pages(RequestState& r) {
  for (const auto page : r.pages) pool_.release(page);
  for (size_t i = r.nodes.size(); i-- > 0;) index_.release(r.nodes[i]);
  r.pages.clear();
  r.addresses.clear();
  r.nodes.clear();
  r.computed = 0;
  r.may_restore = false;
}

}  // namespace weir
