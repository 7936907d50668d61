// Growing and shrinking of a page table.
#include "cache/sequence.h"

#include "base/checked.h"
#include "base/error.h"

namespace weir {

using kernels::kPageTokens;

void Sequence::reserve(int64_t length) {
  const auto wanted = static_cast<size_t>(div_up(length, kPageTokens));
  const size_t before = pages_.size();
  if (wanted > before) {  // so that nothing but take() can throw below
    pages_.reserve(wanted);
    addresses_.reserve(wanted);
  }
  try {
    while (pages_.size() < wanted) {
      const auto id = pool_->take();
      pages_.push_back(id);
      addresses_.push_back(pool_->address(id));
    }
  } catch (...) {
    drop_pages(before);
    throw;
  }
}

void Sequence::append(int64_t count) {
  const int64_t room = static_cast<int64_t>(pages_.size()) * kPageTokens;
  WEIR_CHECK(count >= 0 && length_ + count <= room, "{} + {} positions in pages for {}", length_,
             count, room);
  length_ += count;
}

void Sequence::truncate(int64_t length) {
  WEIR_CHECK(length >= 0 && length <= length_, "{} of {} positions", length, length_);
  length_ = length;
  drop_pages(static_cast<size_t>(div_up(length, kPageTokens)));
}

void Sequence::drop_pages(size_t keep) {
  while (pages_.size() > keep) {
    pool_->release(pages_.back());
    pages_.pop_back();
    addresses_.pop_back();
  }
}

}  // namespace weir
