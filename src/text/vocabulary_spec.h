// What a tokenizer is made from: a plain struct that the model room fills from GGUF metadata and
// that the readers here fill from tokenizer.json or a SentencePiece model. Nothing in it has been
// checked: Tokenizer::create does that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir {

enum class TokenizerKind {
  spm,        // SentencePiece BPE: merges by score (GGUF "llama")
  bpe,        // merges by rank, over bytes or over characters (GGUF "gpt2")
  wordpiece,  // greedy longest match in words (GGUF "bert")
  unigram,    // most probable segmentation (GGUF "t5")
};

/// Values as in GGUF's tokenizer.ggml.token_type and in SentencePiece.
enum class TokenType : uint8_t {
  undefined = 0,
  normal = 1,
  unknown = 2,
  control = 3,       // emitted only if special tokens are parsed
  user_defined = 4,  // always taken whole from the text
  unused = 5,
  byte = 6,  // "<0x41>", the fallback for one byte
};

/// Throws bad_format if `value` is no token type.
TokenType token_type_from(int64_t value);

/// How a special or user-defined token is matched, where that differs from "as it stands".
struct AddedToken {
  int32_t id = 0;
  bool lstrip = false;      // swallows the white space before it
  bool rstrip = false;      // swallows the white space after it
  bool normalized = false;  // matched in the normalised text
};

struct NormalizerStep {
  enum class Kind {
    nfc,
    nfd,
    nfkc,
    nfkd,
    lowercase,
    strip_accents,    // removes non-spacing marks
    replace,          // `pattern` (literal, or regex if is_regex) by `content`
    prepend,          // `content` before a text that is not empty
    strip,            // white space at the left and right
    bert,             // the clean-up of BERT, see the four flags
    charsmap,         // SentencePiece's precompiled map, in `content`
    collapse_spaces,  // SentencePiece's remove_extra_whitespaces
  };
  Kind kind = Kind::nfc;
  std::string pattern = {};
  std::string content = {};
  bool is_regex = false;
  bool left = true, right = true;
  bool clean_text = true, separate_cjk = true, fold_accents = true, lowercase = true;
};

struct PreTokenizerStep {
  enum class Kind {
    split,         // at the matches of `pattern`
    metaspace,     // ' ' becomes U+2581, one is prepended
    prefix_space,  // a space before every piece that has none
  };
  /// What becomes of a match (names of the tokenizer.json format).
  enum class Behavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };
  enum class Prepend { always, first, never };
  Kind kind = Kind::split;
  std::string pattern = {};
  bool literal = false;  // the pattern is a string, not a regex
  bool invert = false;
  Behavior behavior = Behavior::isolated;
  Prepend prepend = Prepend::always;  // metaspace
  bool split = true;                  // metaspace
};

/// How the pieces of tokens become text again.
enum class DecodeStyle { bytes, metaspace, wordpiece, spaced };

/// Every step between text and ids. tokenizer.json states it; for GGUF it follows from kind and
/// pre.
struct Pipeline {
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  bool byte_level = false;     // BPE over bytes; tokens are written in GPT-2's byte alphabet
  bool ignore_merges = false;  // a word that is a token is taken whole
  bool byte_fallback = false;  // an unknown character becomes byte tokens
  bool fuse_unknown = true;    // neighbouring unknowns become one
  std::string continuation_prefix = "##";  // WordPiece; empty: words start with U+2581 instead
  uint32_t max_word_chars = 100;           // WordPiece: longer words are unknown
  DecodeStyle decode = DecodeStyle::bytes;
  bool strip_first_space = false;   // decoding drops the space that encoding put in front
  std::vector<int32_t> prefix_ids;  // special tokens before and after a text
  std::vector<int32_t> suffix_ids;
};

struct VocabularySpec {
  TokenizerKind kind = TokenizerKind::bpe;
  std::string name;  // as in the file, for messages and `weir info`
  std::string pre;   // named pre-tokenizer of byte-level BPE; empty means "default"
  std::vector<std::string> tokens;
  std::vector<float> scores;        // empty, or one a token
  std::vector<TokenType> types;     // empty (all normal), or one a token
  std::vector<std::string> merges;  // "left right", best first
  std::vector<AddedToken> added;    // matching rules of some special or user-defined tokens
  std::optional<int32_t> bos, eos, eot, eom, unk, sep, pad, cls, mask;
  std::optional<bool> add_bos, add_eos;   // absent: the habit of the kind or pre-tokenizer
  std::optional<bool> add_space_prefix;   // absent: yes for spm and unigram
  std::optional<bool> lowercase;          // WordPiece; absent: yes
  bool remove_extra_whitespaces = false;  // spm and unigram
  std::string precompiled_charsmap;       // spm and unigram
  std::optional<Pipeline> pipeline;       // overrides what kind and pre imply
};

}  // namespace weir
