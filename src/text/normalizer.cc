// One function a step.
#include "text/normalizer.h"

#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace weir {
namespace {

/// Calls map(out, c) for every valid code point and copies the bytes that are none.
template <typename Map>
std::string map_code_points(std::string_view text, Map&& map) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    if (c.valid) {
      map(out, c.value);
    } else {
      out.push_back(text[at]);
    }
    at += c.bytes;
  }
  return out;
}

std::string lowercase(std::string_view text) {
  return map_code_points(text, [](std::string& out, char32_t c) { append_lowercase(out, c); });
}

std::string without_marks(std::string_view text) {
  return map_code_points(text, [](std::string& out, char32_t c) {
    if (!is_nonspacing_mark(c)) append_utf8(out, c);
  });
}

std::string replace_literal(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  for (size_t hit = text.find(from); hit != std::string_view::npos; hit = text.find(from, at)) {
    out += text.substr(at, hit - at);
    out += to;
    at = hit + from.size();
  }
  return out += text.substr(at);
}

/// Replaces in the valid parts of the text; bytes that are not UTF-8 separate them.
std::string replace_regex(std::string_view text, const Regex& regex, std::string_view to,
                          RegexScratch& scratch) {
  std::string out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, valid_utf8_prefix(text));
    size_t copied = 0;
    size_t from = 0;
    Regex::Span match;
    while (from <= part.size() && regex.find(part, from, scratch, match)) {
      out += part.substr(copied, match.begin - copied);
      out += to;
      copied = match.end;
      from = match.end;
      if (match.begin == match.end) {
        from = match.end == part.size() ? part.size() + 1
                                        : match.end + decode_utf8(part, match.end).bytes;
      }
    }
    out += part.substr(copied);
    text.remove_prefix(part.size());
    if (text.empty()) break;
    out.push_back(text.front());
    text.remove_prefix(1);
  }
  return out;
}

std::string strip(std::string_view text, bool left, bool right) {
  size_t begin = text.size();
  size_t end = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    if (!c.valid || !is_white_space(c.value)) {
      if (begin > at) begin = at;
      end = at + c.bytes;
    }
    at += c.bytes;
  }
  if (!left) begin = 0;
  if (!right) end = text.size();
  return begin < end ? std::string(text.substr(begin, end - begin)) : std::string();
}

/// Only U+0020 counts: other white space has been mapped to it by the charsmap, or is text.
std::string collapse_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out.push_back(c);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// The blocks of CJK ideographs that BERT's published tokenizer separates.
bool is_cjk_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::string clean_for_bert(std::string_view text) {
  return map_code_points(text, [](std::string& out, char32_t c) {
    if (is_white_space(c)) {
      out.push_back(' ');
    } else if (c != 0 && c != 0xFFFD && !is_control_character(c)) {
      append_utf8(out, c);
    }
  });
}

std::string separate_cjk(std::string_view text) {
  return map_code_points(text, [](std::string& out, char32_t c) {
    const bool separate = is_cjk_ideograph(c);
    if (separate) out.push_back(' ');
    append_utf8(out, c);
    if (separate) out.push_back(' ');
  });
}

std::string bert(std::string text, const NormalizerStep& step) {
  if (step.clean_text) text = clean_for_bert(text);
  if (!is_ascii(text)) {
    if (step.separate_cjk) text = separate_cjk(text);
    if (step.fold_accents) text = without_marks(normal_form(text, NormalForm::nfd));
  }
  if (step.lowercase) text = lowercase(text);
  return text;
}

}  // namespace

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps) {
  for (const NormalizerStep& spec : steps) {
    Step step{spec, nullptr, nullptr};
    if (spec.kind == NormalizerStep::Kind::charsmap) {
      step.charsmap = std::make_unique<Charsmap>(spec.content);
    }
    if (spec.kind == NormalizerStep::Kind::replace && spec.is_regex) {
      step.regex = std::make_unique<Regex>(spec.pattern);
    }
    steps_.push_back(std::move(step));
  }
}

std::string Normalizer::apply(std::string_view input, RegexScratch& scratch) const {
  using Kind = NormalizerStep::Kind;
  std::string text(input);
  for (const auto& [spec, charsmap, regex] : steps_) {
    switch (spec.kind) {
      case Kind::nfc:
        text = normal_form(text, NormalForm::nfc);
        break;
      case Kind::nfd:
        text = normal_form(text, NormalForm::nfd);
        break;
      case Kind::nfkc:
        text = normal_form(text, NormalForm::nfkc);
        break;
      case Kind::nfkd:
        text = normal_form(text, NormalForm::nfkd);
        break;
      case Kind::lowercase:
        text = lowercase(text);
        break;
      case Kind::strip_accents:
        text = without_marks(text);
        break;
      case Kind::replace:
        text = regex ? replace_regex(text, *regex, spec.content, scratch)
                     : replace_literal(text, spec.pattern, spec.content);
        break;
      case Kind::prepend:
        if (!text.empty()) text.insert(0, spec.content);
        break;
      case Kind::strip:
        text = strip(text, spec.left, spec.right);
        break;
      case Kind::bert:
        text = bert(std::move(text), spec);
        break;
      case Kind::charsmap:
        text = charsmap->apply(text);
        break;
      case Kind::collapse_spaces:
        text = collapse_spaces(text);
        break;
    }
  }
  return text;
}

}  // namespace weir
