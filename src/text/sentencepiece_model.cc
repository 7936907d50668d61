// Field numbers are those of sentencepiece_model.proto.
#include "text/sentencepiece_model.h"

#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"

namespace weir {
namespace {

/// One field of a message: number, and either a number or bytes.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;
  std::string_view bytes;
};

class MessageReader {
 public:
  /// `base`: where the message starts in the file, for errors.
  explicit MessageReader(std::string_view message, size_t base = 0)
      : message_(message), base_(base) {}

  bool next(Field& field) {
    if (at_ == message_.size()) return false;
    const uint64_t key = varint();
    field = {key >> 3, 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        fail(Code::bad_format,
             "the SentencePiece model has wire type {} at byte {}, expected 0, 1, "
             "2 or 5",
             key & 7, offset());
    }
    return true;
  }
  /// Where the bytes of the field just read start in the file.
  size_t offset_of(const Field& field) const { return offset() - field.bytes.size(); }

 private:
  size_t offset() const { return base_ + at_; }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    fail(Code::bad_format,
         "the SentencePiece model has a number of more than 10 bytes before byte "
         "{}",
         offset());
  }
  uint64_t fixed(size_t size) {
    uint64_t value = 0;
    std::memcpy(&value, take(size).data(), size);
    return value;
  }
  std::string_view take(uint64_t size) {
    if (size > message_.size() - at_) {
      fail(Code::bad_format,
           "the SentencePiece model ends inside a field: {} bytes are wanted at byte {}, {} are "
           "left",
           size, offset(), message_.size() - at_);
    }
    const std::string_view bytes = message_.substr(at_, size);
    at_ += size;
    return bytes;
  }

  std::string_view message_;
  size_t base_;
  size_t at_ = 0;
};

/// An int32 as protobuf writes it; the id -1 means "none".
std::optional<int32_t> id_of(const Field& field) {
  const auto id = static_cast<int32_t>(field.value);
  return id < 0 ? std::nullopt : std::optional(id);
}

void read_piece(std::string_view message, size_t base, VocabularySpec& spec) {
  MessageReader reader(message, base);
  std::string piece;
  float score = 0;
  TokenType type = TokenType::normal;
  for (Field field; reader.next(field);) {
    if (field.number == 1) piece = field.bytes;
    if (field.number == 2) {
      const auto bits = static_cast<uint32_t>(field.value);
      std::memcpy(&score, &bits, sizeof score);
    }
    if (field.number == 3) type = token_type_from(static_cast<int64_t>(field.value));
  }
  if (type == TokenType::user_defined) {  // matched after normalisation, in the piece's own writing
    AddedToken added;
    added.id = static_cast<int32_t>(spec.tokens.size());
    added.normalized = true;
    spec.added.push_back(added);
  }
  spec.tokens.push_back(std::move(piece));
  spec.scores.push_back(score);
  spec.types.push_back(type);
}

void read_trainer(std::string_view message, size_t base, VocabularySpec& spec) {
  MessageReader reader(message, base);
  for (Field field; reader.next(field);) {
    switch (field.number) {
      case 3:  // model_type
        if (field.value != 1 && field.value != 2) {
          fail(Code::unsupported,
               "the SentencePiece model has type {}; only unigram (1) and BPE (2) are supported",
               field.value);
        }
        spec.kind = field.value == 1 ? TokenizerKind::unigram : TokenizerKind::spm;
        break;
      case 24:
        if (field.value != 0) {
          fail(Code::unsupported, "the SentencePiece model treats white space as a suffix");
        }
        break;
      case 40:
        spec.unk = id_of(field);
        break;
      case 41:
        spec.bos = id_of(field);
        break;
      case 42:
        spec.eos = id_of(field);
        break;
      case 43:
        spec.pad = id_of(field);
        break;
      default:
        break;
    }
  }
}

void read_normalizer_spec(std::string_view message, size_t base, VocabularySpec& spec) {
  MessageReader reader(message, base);
  for (Field field; reader.next(field);) {
    if (field.number == 2) spec.precompiled_charsmap = field.bytes;
    if (field.number == 3) spec.add_space_prefix = field.value != 0;
    if (field.number == 4) spec.remove_extra_whitespaces = field.value != 0;
    if (field.number == 5 && field.value == 0) {
      fail(Code::unsupported, "the SentencePiece model does not escape white space");
    }
  }
}

}  // namespace

VocabularySpec from_sentencepiece_model(std::span<const std::byte> bytes) {
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  VocabularySpec spec;
  spec.kind = TokenizerKind::unigram;  // the defaults of the format
  spec.name = "SentencePiece";
  spec.unk = 0;
  spec.bos = 1;
  spec.eos = 2;
  spec.add_bos = false;
  spec.add_eos = false;
  spec.add_space_prefix = true;
  spec.remove_extra_whitespaces = true;
  MessageReader reader(file);
  for (Field field; reader.next(field);) {
    const size_t base = reader.offset_of(field);
    if (field.number == 1) read_piece(field.bytes, base, spec);
    if (field.number == 2) read_trainer(field.bytes, base, spec);
    if (field.number == 3) read_normalizer_spec(field.bytes, base, spec);
  }
  return spec;
}

}  // namespace weir
