// The merge table is keyed by the ids of the two halves.
#include "text/bpe.h"

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/chunks.h"

namespace weir {
namespace {

size_t pair_hash(int32_t left, int32_t right) {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  const uint64_t mixed = key * 0x9E3779B97F4A7C15U;
  return static_cast<size_t>(mixed ^ (mixed >> 32));
}

}  // namespace

BpeModel::BpeModel(const Vocabulary& vocabulary, const VocabularySpec& spec,
                   const Pipeline& pipeline)
    : vocabulary_(vocabulary),
      byte_level_(pipeline.byte_level),
      ignore_merges_(pipeline.ignore_merges),
      unknown_(vocabulary, spec.unk, pipeline.byte_fallback, pipeline.fuse_unknown) {
  build_merges(spec.merges);
}

void BpeModel::build_merges(const std::vector<std::string>& merges) {
  size_t capacity = 16;
  while (capacity < merges.size() * 2) capacity *= 2;
  pairs_.resize(capacity);
  std::string bytes, whole;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      fail(Code::bad_format, "merge {} is '{}', expected two tokens with a space between them",
           rank, merge.substr(0, 80));
    }
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(space + 1);
    whole.assign(left).append(right);
    bytes.clear();
    const bool left_is_bytes = append_bytes(bytes, left);
    const size_t middle = bytes.size();
    const bool right_is_bytes = append_bytes(bytes, right);
    const auto resolve = [&](std::string_view stored, std::string_view text, const char* what) {
      int32_t id = vocabulary_.find_ordinary(stored);
      if (id < 0) id = vocabulary_.find_any(text);
      if (id < 0) {
        fail(Code::bad_format, "the {} of merge {} ('{}') is not in the vocabulary", what, rank,
             text.substr(0, 80));
      }
      return id;
    };
    const std::string_view both = bytes;
    Pair pair;
    pair.left = resolve(both.substr(0, middle), left, "left half");
    pair.right = resolve(both.substr(middle), right, "right half");
    // Where one half only is in the byte alphabet, the whole is not.
    const std::string_view joined = left_is_bytes == right_is_bytes ? both : whole;
    pair.result = {static_cast<uint32_t>(rank), resolve(joined, whole, "result")};
    // Text alone must never become a control token, whatever the merges say.
    if (vocabulary_.is_special(pair.result.id)) continue;
    add_pair(pair);
    if (byte_level_) {
      joins_.add_bytes(vocabulary_.text(pair.result.id));
    } else {
      joins_.add(whole);
    }
  }
}

bool BpeModel::append_bytes(std::string& out, std::string_view text) const {
  if (byte_level_) return append_from_byte_alphabet(out, text);
  out += text;
  return true;
}

void BpeModel::add_pair(const Pair& pair) {
  const size_t mask = pairs_.size() - 1;
  size_t slot = pair_hash(pair.left, pair.right) & mask;
  while (pairs_[slot].left >= 0) {
    if (pairs_[slot].left == pair.left && pairs_[slot].right == pair.right) return;
    slot = (slot + 1) & mask;
  }
  pairs_[slot] = pair;
}

MergeResult BpeModel::merge_of(int32_t left, int32_t right) const {
  const size_t mask = pairs_.size() - 1;
  for (size_t slot = pair_hash(left, right) & mask; pairs_[slot].left >= 0;
       slot = (slot + 1) & mask) {
    if (pairs_[slot].left == left && pairs_[slot].right == right) return pairs_[slot].result;
  }
  return {};
}

void BpeModel::encode(std::string_view word, EncodeScratch& scratch,
                      std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t id = vocabulary_.find_ordinary(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  const auto id_of = [&](std::string_view atom) {
    return byte_level_ ? vocabulary_.byte_token(static_cast<uint8_t>(atom.front()))
                       : vocabulary_.find_ordinary(atom);
  };
  const size_t word_start = ids.size();
  const auto merge = [&](int32_t left, int32_t right, size_t, size_t) -> MergeResult {
    if (left < 0 || right < 0) return {};
    return scratch.merge.pairs.get(left, right, [&] { return merge_of(left, right); });
  };
  for_each_chunk(word, byte_level_, joins_, scratch.merge, id_of, [&](std::string_view chunk) {
    merge_symbols(scratch.merge, merge);
    append_symbols(chunk, scratch.merge, unknown_, word_start, ids);
  });
}

}  // namespace weir
