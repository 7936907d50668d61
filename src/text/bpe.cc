// The merge table is keyed by the ids of the two halves.
#include "text/bpe.h"

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

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
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      fail(Code::bad_format, "merge {} is '{}', expected two tokens with a space between them",
           rank, merge.substr(0, 80));
    }
    const auto resolve = [&](std::string_view text, const char* what) {
      const std::string bytes = byte_level_ ? from_byte_alphabet(text) : std::string(text);
      int32_t id = vocabulary_.find_ordinary(bytes);
      if (id < 0) id = vocabulary_.find_any(text);
      if (id < 0) {
        fail(Code::bad_format, "the {} of merge {} ('{}') is not in the vocabulary", what, rank,
             text.substr(0, 80));
      }
      return id;
    };
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(space + 1);
    Pair pair;
    pair.left = resolve(left, "left half");
    pair.right = resolve(right, "right half");
    const std::string whole = std::string(left).append(right);
    pair.result = {static_cast<uint32_t>(rank), resolve(whole, "result")};
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
  if (byte_level_) {
    encode_bytes(word, scratch, ids);
  } else {
    encode_characters(word, scratch, ids);
  }
}

void BpeModel::encode_bytes(std::string_view word, EncodeScratch& scratch,
                            std::vector<int32_t>& ids) const {
  std::vector<Symbol>& symbols = scratch.merge.symbols;
  symbols.clear();
  if (word.size() > symbols.capacity()) symbols.reserve(word.size());
  const size_t word_start = ids.size();
  size_t chunk = 0;
  for (size_t at = 0; at < word.size(); ++at) {
    const auto byte = static_cast<uint8_t>(word[at]);
    if (at > chunk && !joins_.may_join(static_cast<uint8_t>(word[at - 1]), byte)) {
      finish_chunk(word.substr(chunk, at - chunk), word_start, scratch, ids);
      symbols.clear();
      chunk = at;
    }
    symbols.push_back(
        {static_cast<uint32_t>(at - chunk), vocabulary_.byte_token(byte), 1, kNoMerge});
  }
  finish_chunk(word.substr(chunk), word_start, scratch, ids);
}

void BpeModel::encode_characters(std::string_view word, EncodeScratch& scratch,
                                 std::vector<int32_t>& ids) const {
  std::vector<Symbol>& symbols = scratch.merge.symbols;
  symbols.clear();
  if (word.size() > symbols.capacity()) symbols.reserve(word.size());
  const size_t word_start = ids.size();
  size_t chunk = 0;
  char32_t previous = 0;
  for (size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word, at);
    if (at > chunk && !joins_.may_join(previous, c.value)) {
      finish_chunk(word.substr(chunk, at - chunk), word_start, scratch, ids);
      symbols.clear();
      chunk = at;
    }
    symbols.push_back({static_cast<uint32_t>(at - chunk),
                       vocabulary_.find_ordinary(word.substr(at, c.bytes)), 1, kNoMerge});
    previous = c.value;
    at += c.bytes;
  }
  finish_chunk(word.substr(chunk), word_start, scratch, ids);
}

void BpeModel::finish_chunk(std::string_view chunk, size_t word_start, EncodeScratch& scratch,
                            std::vector<int32_t>& ids) const {
  const std::vector<Symbol>& symbols = scratch.merge.symbols;
  merge_symbols(scratch.merge, static_cast<uint32_t>(chunk.size()),
                [&](const Symbol& left, const Symbol& right, uint32_t) -> MergeResult {
                  if (left.id < 0 || right.id < 0) return {};
                  return scratch.merge.pairs.get(left.id, right.id,
                                                 [&] { return merge_of(left.id, right.id); });
                });
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].id >= 0) {
      ids.push_back(symbols[i].id);
      continue;
    }
    const size_t end = i + 1 < symbols.size() ? symbols[i + 1].begin : chunk.size();
    unknown_.emit(chunk.substr(symbols[i].begin, end - symbols[i].begin), word_start, ids);
  }
}

}  // namespace weir
