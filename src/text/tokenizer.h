// The tokenizer: text to ids and back, for every supported vocabulary. Immutable after creation, so
// any number of threads may use one. Refuses at creation whatever it could not do faithfully.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary_spec.h"

namespace weir {

class Tokenizer {
 public:
  /// Throws bad_format, unsupported or limit_exceeded, naming what is wrong with the vocabulary.
  static std::shared_ptr<const Tokenizer> create(const VocabularySpec& spec);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  struct EncodeOptions {
    bool add_special = true;     // BOS, EOS, CLS, SEP, as the model was trained
    bool parse_special = false;  // the text "<|im_end|>" becomes the control token
  };
  /// Ids of `text`. Text from users must come with parse_special false: then no control token can
  /// result from it. Bytes that are not UTF-8 become byte tokens where the vocabulary has them,
  /// else the unknown token. Time and memory are linear in the text (n log n for one endless word).
  /// Throws limit_exceeded (text of 2 GiB or more) or unsupported (a byte that has no token and no
  /// unknown token stands for it).
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const;
  std::vector<int32_t> encode(std::string_view text) const { return encode(text, EncodeOptions()); }

  struct DecodeOptions {
    bool skip_special = true;  // control and unknown tokens give no text
    bool text_start = true;    // the ids start a text: drop the space that encoding put in front
  };
  /// Text of `ids`, always valid UTF-8: bytes that are none become U+FFFD. Throws invalid_argument
  /// for an id outside the vocabulary.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const;
  std::string decode(std::span<const int32_t> ids) const { return decode(ids, DecodeOptions()); }
  /// The same before invalid bytes are replaced.
  std::string decode_bytes(std::span<const int32_t> ids, DecodeOptions options) const;
  std::string decode_bytes(std::span<const int32_t> ids) const {
    return decode_bytes(ids, DecodeOptions());
  }

  /// Raw bytes of one token by itself (maybe half a character); a control token gives its name.
  std::string piece(int32_t id) const;

  int32_t vocab_size() const;
  std::optional<int32_t> bos() const { return bos_; }
  std::optional<int32_t> eos() const { return eos_; }
  std::optional<int32_t> eot() const { return eot_; }
  std::optional<int32_t> unknown() const { return unk_; }
  std::optional<int32_t> separator() const { return sep_; }
  std::optional<int32_t> padding() const { return pad_; }
  std::optional<int32_t> cls() const { return cls_; }
  std::optional<int32_t> mask() const { return mask_; }
  bool adds_bos() const { return !pipeline_.prefix_ids.empty(); }
  bool adds_eos() const { return !pipeline_.suffix_ids.empty(); }

  TokenType type(int32_t id) const;
  bool is_control(int32_t id) const { return type(id) == TokenType::control; }
  /// True for the model's EOS, EOT and EOM and for control tokens with the well-known names of an
  /// end of turn ("<|im_end|>", "<|eot_id|>", …): a model that emits one has finished.
  bool is_end_of_generation(int32_t id) const;
  /// The token with exactly these bytes (special tokens by name first).
  std::optional<int32_t> find(std::string_view token) const;

  TokenizerKind kind() const { return kind_; }
  std::string_view kind_name() const;
  const std::string& name() const { return name_; }
  const std::string& pre() const { return pre_; }

 private:
  friend class StreamDetokenizer;
  struct Parts;  // vocabulary, normaliser, splitters, pre-tokenizer, model

  explicit Tokenizer(const VocabularySpec& spec);
  void check_id(int32_t id) const;
  void find_end_tokens(const VocabularySpec& spec);
  /// Appends the bytes that `id` adds to a text; `anything_before` is updated.
  void append_bytes(int32_t id, const DecodeOptions& options, bool& anything_before,
                    std::string& out) const;

  TokenizerKind kind_;
  std::string name_;
  std::string pre_;
  Pipeline pipeline_;
  std::optional<int32_t> bos_, eos_, eot_, unk_, sep_, pad_, cls_, mask_;
  std::vector<int32_t> end_tokens_;  // sorted
  std::unique_ptr<const Parts> parts_;
};

}  // namespace weir
