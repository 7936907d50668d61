// The habits of the four kinds, as their GGUF files mean them.
#include "text/pipeline.h"

#include "base/error.h"
#include "text/pretokenizer_table.h"
#include "text/vocabulary.h"
#include "text/wordpiece.h"

namespace weir {
namespace {

NormalizerStep step_of(NormalizerStep::Kind kind) {
  NormalizerStep step;
  step.kind = kind;
  return step;
}

/// Appends `id` if the file asks for it (`asked`), or does not say and `habit` is true.
void add_if_wanted(std::vector<int32_t>& ids, const char* what, std::optional<bool> asked,
                   bool habit, std::optional<int32_t> id) {
  if (!asked.value_or(habit)) return;
  if (id) {
    ids.push_back(*id);
  } else if (asked) {
    fail(Code::bad_format, "the tokenizer asks for a {} token, but names none", what);
  }
}

Pipeline sentencepiece_pipeline(const VocabularySpec& spec) {
  const bool unigram = spec.kind == TokenizerKind::unigram;
  Pipeline pipeline;
  pipeline.normalizer = sentencepiece_normalizer(spec);
  pipeline.byte_fallback = true;
  pipeline.decode = DecodeStyle::metaspace;
  pipeline.strip_first_space = spec.add_space_prefix.value_or(true);
  add_if_wanted(pipeline.prefix_ids, "BOS", spec.add_bos, !unigram, spec.bos);
  add_if_wanted(pipeline.suffix_ids, "EOS", spec.add_eos, unigram, spec.eos);
  return pipeline;
}

Pipeline byte_level_pipeline(const VocabularySpec& spec) {
  NamedPreTokenizer named = named_pre_tokenizer(spec.pre);
  Pipeline pipeline;
  if (named.nfc) pipeline.normalizer.push_back(step_of(NormalizerStep::Kind::nfc));
  pipeline.pre_tokenizer = std::move(named.steps);
  pipeline.byte_level = true;
  pipeline.ignore_merges = named.ignore_merges;
  if (spec.add_space_prefix.value_or(false)) {
    NormalizerStep prefix = step_of(NormalizerStep::Kind::prepend);
    prefix.content = " ";
    pipeline.normalizer.push_back(prefix);
    pipeline.strip_first_space = true;
  }
  add_if_wanted(pipeline.prefix_ids, "BOS", spec.add_bos, named.add_bos, spec.bos);
  add_if_wanted(pipeline.suffix_ids, "EOS", spec.add_eos, named.add_sep,
                named.add_sep && spec.sep ? spec.sep : spec.eos);
  return pipeline;
}

Pipeline wordpiece_pipeline(const VocabularySpec& spec) {
  Pipeline pipeline;
  NormalizerStep clean = step_of(NormalizerStep::Kind::bert);
  clean.lowercase = spec.lowercase.value_or(true);
  clean.fold_accents = clean.lowercase;
  pipeline.normalizer.push_back(clean);
  PreTokenizerStep white_space = isolated_split(R"(\s+)");
  white_space.behavior = PreTokenizerStep::Behavior::removed;
  pipeline.pre_tokenizer = {white_space, isolated_split(R"([!-/:-@\[-`{-~\p{P}])")};
  if (marks_word_starts(spec.tokens)) pipeline.continuation_prefix.clear();
  pipeline.decode = DecodeStyle::wordpiece;
  add_if_wanted(pipeline.prefix_ids, "CLS", spec.add_bos, true, spec.cls ? spec.cls : spec.bos);
  add_if_wanted(pipeline.suffix_ids, "SEP", spec.add_eos, true, spec.sep ? spec.sep : spec.eos);
  return pipeline;
}

}  // namespace

std::vector<NormalizerStep> sentencepiece_normalizer(const VocabularySpec& spec) {
  std::vector<NormalizerStep> steps;
  if (!spec.precompiled_charsmap.empty()) {
    steps.push_back(step_of(NormalizerStep::Kind::charsmap));
    steps.back().content = spec.precompiled_charsmap;
  }
  if (spec.remove_extra_whitespaces) {
    steps.push_back(step_of(NormalizerStep::Kind::collapse_spaces));
  }
  if (spec.add_space_prefix.value_or(true)) {
    steps.push_back(step_of(NormalizerStep::Kind::prepend));
    steps.back().content = kMetaspace;
  }
  steps.push_back(step_of(NormalizerStep::Kind::replace));
  steps.back().pattern = " ";
  steps.back().content = kMetaspace;
  return steps;
}

Pipeline pipeline_for(const VocabularySpec& spec) {
  if (spec.pipeline) return *spec.pipeline;
  switch (spec.kind) {
    case TokenizerKind::spm:
    case TokenizerKind::unigram:
      return sentencepiece_pipeline(spec);
    case TokenizerKind::bpe:
      return byte_level_pipeline(spec);
    case TokenizerKind::wordpiece:
      return wordpiece_pipeline(spec);
  }
  fail(Code::internal, "unknown tokenizer kind {}", static_cast<int>(spec.kind));
}

}  // namespace weir
