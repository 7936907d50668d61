// The recursion below goes over the steps (at most 32), never over the input.
#include "text/pretokenizer.h"

#include "base/error.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace weir {
namespace {

constexpr size_t kMaxSteps = 32;

using Behavior = PreTokenizerStep::Behavior;

/// Turns the alternation of gaps and matches into pieces, as `behavior` says.
template <typename Emit>
class PieceBuilder {
 public:
  PieceBuilder(std::string_view text, Behavior behavior, bool invert, Emit emit)
      : text_(text), behavior_(behavior), invert_(invert), emit_(emit) {}

  void add(size_t begin, size_t end, bool matched) {
    if (begin == end) return;
    const bool is_match = matched != invert_;
    switch (behavior_) {
      case Behavior::isolated:
        emit_piece(begin, end);
        break;
      case Behavior::removed:
        if (!is_match) emit_piece(begin, end);
        break;
      case Behavior::contiguous:
        if (is_match != open_match_) flush();
        hold(begin, end, is_match);
        break;
      case Behavior::merged_with_previous:
        if (!is_match) flush();
        hold(begin, end, is_match);
        if (is_match) flush();
        break;
      case Behavior::merged_with_next:
        if (is_match) flush();
        hold(begin, end, is_match);
        if (!is_match) flush();
        break;
    }
  }

  void flush() {
    emit_piece(open_begin_, open_end_);
    open_begin_ = open_end_;
  }

 private:
  void hold(size_t begin, size_t end, bool is_match) {
    if (open_begin_ == open_end_) open_begin_ = begin;
    open_end_ = end;
    open_match_ = is_match;
  }
  void emit_piece(size_t begin, size_t end) {
    if (begin != end) emit_(text_.substr(begin, end - begin));
  }

  std::string_view text_;
  Behavior behavior_;
  bool invert_;
  Emit emit_;
  size_t open_begin_ = 0;
  size_t open_end_ = 0;
  bool open_match_ = false;
};

template <typename Add>
void find_literal(std::string_view text, std::string_view pattern, Add&& add) {
  size_t at = 0;
  for (size_t hit = text.find(pattern); hit != std::string_view::npos;
       hit = text.find(pattern, at)) {
    add(at, hit, false);
    add(hit, hit + pattern.size(), true);
    at = hit + pattern.size();
  }
  add(at, text.size(), false);
}

template <typename Add>
void find_regex(std::string_view text, const Regex& regex, RegexScratch& scratch, Add&& add) {
  size_t done = 0;
  size_t from = 0;
  Regex::Span match;
  while (from < text.size() && regex.find(text, from, scratch, match)) {
    add(done, match.begin, false);
    add(match.begin, match.end, true);
    done = match.end;
    from = match.end;
    if (match.begin == match.end && from < text.size()) from += decode_utf8(text, from).bytes;
  }
  add(done, text.size(), false);
}

}  // namespace

struct PreTokenizer::Run {
  RegexScratch& scratch;
  const Sink& sink;
};

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps) {
  if (steps.size() > kMaxSteps) {
    fail(Code::limit_exceeded, "the pre-tokenizer has {} steps; at most {} are supported",
         steps.size(), kMaxSteps);
  }
  for (const PreTokenizerStep& spec : steps) {
    Step step{spec, nullptr};
    if (spec.kind == PreTokenizerStep::Kind::split) {
      if (spec.pattern.empty()) {
        fail(Code::bad_format, "a Split of the pre-tokenizer has an empty pattern");
      }
      if (!spec.literal) step.regex = std::make_unique<Regex>(spec.pattern);
    }
    steps_.push_back(std::move(step));
  }
}

void PreTokenizer::for_each_word(std::string_view text, bool first, RegexScratch& scratch,
                                 const Sink& sink) const {
  const Run context{scratch, sink};
  while (!text.empty()) {
    const size_t valid = valid_utf8_prefix(text);
    if (valid > 0) run(0, text.substr(0, valid), first, context);
    text.remove_prefix(valid);
    first = false;
    size_t invalid = 0;
    while (invalid < text.size() && !decode_utf8(text, invalid).valid) ++invalid;
    if (invalid > 0) sink(text.substr(0, invalid));
    text.remove_prefix(invalid);
  }
}

void PreTokenizer::run(size_t step, std::string_view piece, bool first, const Run& context) const {
  if (step == steps_.size()) {
    context.sink(piece);
    return;
  }
  switch (steps_[step].spec.kind) {
    case PreTokenizerStep::Kind::split:
      split(step, piece, first, context);
      break;
    case PreTokenizerStep::Kind::metaspace:
      metaspace(step, piece, first, context);
      break;
    case PreTokenizerStep::Kind::prefix_space:
      if (piece.starts_with(' ')) {
        run(step + 1, piece, first, context);
      } else {
        run(step + 1, " " + std::string(piece), first, context);
      }
      break;
  }
}

void PreTokenizer::split(size_t step, std::string_view piece, bool first,
                         const Run& context) const {
  const auto& [spec, regex] = steps_[step];
  const auto emit = [&](std::string_view part) {
    run(step + 1, part, first && part.data() == piece.data(), context);
  };
  PieceBuilder builder(piece, spec.behavior, spec.invert, emit);
  const auto add = [&](size_t begin, size_t end, bool matched) {
    builder.add(begin, end, matched);
  };
  if (regex) {
    find_regex(piece, *regex, context.scratch, add);
  } else {
    find_literal(piece, spec.pattern, add);
  }
  builder.flush();
}

void PreTokenizer::metaspace(size_t step, std::string_view piece, bool first,
                             const Run& context) const {
  const PreTokenizerStep& spec = steps_[step].spec;
  std::string text;
  text.reserve(piece.size() + kMetaspace.size());
  for (const char c : piece) {
    if (c == ' ') {
      text += kMetaspace;
    } else {
      text.push_back(c);
    }
  }
  const bool wanted = spec.prepend == PreTokenizerStep::Prepend::always ||
                      (spec.prepend == PreTokenizerStep::Prepend::first && first);
  if (wanted && !text.starts_with(kMetaspace)) text.insert(0, kMetaspace);
  if (!spec.split) {
    run(step + 1, text, first, context);
    return;
  }
  const std::string_view whole = text;
  const auto emit = [&](std::string_view part) {
    run(step + 1, part, first && part.data() == whole.data(), context);
  };
  PieceBuilder builder(whole, Behavior::merged_with_next, false, emit);
  find_literal(whole, kMetaspace,
               [&](size_t begin, size_t end, bool matched) { builder.add(begin, end, matched); });
  builder.flush();
}

}  // namespace weir
