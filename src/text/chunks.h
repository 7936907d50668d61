// Long words as a sequence of short chunks: the frame around the merge loop that BPE and
// SentencePiece BPE share. A word is cut where the join filter says that no token reaches across.
#pragma once

#include <string_view>
#include <vector>

#include "text/model.h"
#include "text/symbol_merger.h"
#include "text/utf8.h"

namespace weir {

/// For each chunk of `word`: fills scratch.symbols with the ids of its atoms (bytes, or characters;
/// then scratch.begins holds where each starts and, last, the chunk's length) and calls
/// finish(chunk).
template <typename IdOf, typename Finish>
void for_each_chunk(std::string_view word, bool atoms_are_bytes, const JoinFilter& joins,
                    MergeScratch& scratch, const IdOf& id_of, const Finish& finish) {
  if (word.empty()) return;
  scratch.symbols.clear();
  scratch.begins.clear();
  scratch.symbols.reserve(word.size());
  size_t chunk = 0;
  char32_t previous = 0;
  const auto end_chunk = [&](size_t end) {
    if (!atoms_are_bytes) scratch.begins.push_back(static_cast<uint32_t>(end - chunk));
    finish(word.substr(chunk, end - chunk));
    scratch.symbols.clear();
    scratch.begins.clear();
    chunk = end;
  };
  for (size_t at = 0; at < word.size();) {
    const auto byte = static_cast<uint8_t>(word[at]);
    const CodePoint c = atoms_are_bytes ? CodePoint{byte, 1, true} : decode_utf8(word, at);
    if (at > chunk && !joins.may_join(previous, c.value)) end_chunk(at);
    if (!atoms_are_bytes) scratch.begins.push_back(static_cast<uint32_t>(at - chunk));
    scratch.symbols.push_back({id_of(word.substr(at, c.bytes)), 1});
    previous = c.value;
    at += c.bytes;
  }
  end_chunk(word.size());
}

/// Appends the ids of the merged symbols of a chunk; those that are no token go through `unknown`.
inline void append_symbols(std::string_view chunk, const MergeScratch& scratch,
                           const UnknownPolicy& unknown, size_t word_start,
                           std::vector<int32_t>& ids) {
  size_t atom = 0;
  const auto begin_of = [&](size_t i) {
    return scratch.begins.empty() ? i : size_t{scratch.begins[i]};
  };
  for (const Symbol& symbol : scratch.symbols) {
    const size_t begin = begin_of(atom);
    atom += symbol.span;
    if (symbol.id >= 0) {
      ids.push_back(symbol.id);
    } else {
      unknown.emit(chunk.substr(begin, begin_of(atom) - begin), word_start, ids);
    }
  }
}

}  // namespace weir
