// The patterns are those of the models' published tokenizer files; several models share one. Where
// a pattern restarts at every character of a long run, a form with the same matches stands here
// that does not (a look-behind pins the match to the start of the run, \G goes on where the match
// before it ended). Possessive groups need no stack for each repetition.
#include "text/pretokenizer_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"

namespace weir {

const std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using Patterns = std::vector<std::string_view>;

// cl100k with digits in groups of at most three, as published with Llama 3.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// The same with single digits, as published with Qwen2.
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Qwen3.5: marks belong to the letters.
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// o200k, as published with GPT-4o.
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Youtu: o200k with single digits, after runs of Hangul, of full-width punctuation, of Bopomofo and
// of Han and kana.
constexpr std::string_view kYoutuScripts =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
    R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
    R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+)"
    R"(|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kYoutu =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Tiny Aya: digits from the right in groups of three, if no word character follows the number.
// Published: \d{1,3}(?=(?:\d{3})*\b), in which \w is that of Oniguruma.
constexpr std::string_view kTinyAyaDigits =
    R"((?<!\d)\d{1,3}(?=(?:\d{3})*+(?![\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}]))|(?<=\d)\G\d{3})";
// Mistral's Tekken: o200k without contractions, single digits.
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Jais 2: white space in runs of powers of two. The look-behind before \s*[\r\n]+ is not published:
// where such a run has been cut off, no line break follows, and the search for one must not begin
// again.
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|(?<![^\S\r\n])\s*[\r\n]+)"
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
    R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
// MiniCPM5, after the digits in threes.
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Qwen2's without English contractions: Turkish suffixes stay whole.
constexpr std::string_view kUfakzeka =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Laguna: a run of line breaks begins a piece that goes on to the next run. Published:
// (?:\r?\n)+(?!\r?\n), merged with what follows.
constexpr std::string_view kLagunaLines = R"((?:\r?\n)++(?:[^\r\n]++|\r(?!\n))*+)";
// K-EXAONE: a word reaches over single spaces.
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*+(?: \p{L}\p{M}*+)*+)++|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
// The script property Han, because \p{Han} has meant two things in PCRE2.
constexpr std::string_view kHan =
    R"(\x{2E80}-\x{2E99}\x{2E9B}-\x{2EF3}\x{2F00}-\x{2FD5}\x{3005}\x{3007}\x{3021}-\x{3029})"
    R"(\x{3038}-\x{303B}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FA6D}\x{FA70}-\x{FAD9})"
    R"(\x{16FE2}\x{16FE3}\x{16FF0}\x{16FF1}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B739})"
    R"(\x{2B740}-\x{2B81D}\x{2B820}-\x{2CEA1}\x{2CEB0}-\x{2EBE0}\x{2EBF0}-\x{2EE5D})"
    R"(\x{2F800}-\x{2FA1D}\x{30000}-\x{3134A}\x{31350}-\x{323AF})";
// Cased letters, as ranges; escaped, because some of them look like others.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[\x{41}-\x{5A}\x{61}-\x{7A}\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA})"
    R"(\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377})"
    R"(\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5})"
    R"(\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77})"
    R"(\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3})"
    R"(\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184})"
    R"(\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"
    R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"
    R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)";
constexpr std::string_view kTrailingSpace = R"((?<!\s)\s+\z)";
constexpr std::string_view kDeepseekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr std::string_view kDeepseekCjk =
    R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr std::string_view kDeepseekV3Cjk =
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kDeepseekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Spark 2.5: the same, with line breaks one by one and not after punctuation.
constexpr std::string_view kSpark25 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
// AFMoE (Trinity), before DeepSeek V3's: digits from the right in groups of three (published as
// three patterns that cut at 510 digits first), then runs of one script.
constexpr std::string_view kAfmoeDigits =
    R"((?<!\p{Nd})\p{Nd}{1,3}(?=(?:\p{Nd}{3})*+(?!\p{Nd}))|(?<=\p{Nd})\G\p{Nd}{3})";
constexpr std::string_view kAfmoeScripts =
    R"([\x{4E00}-\x{9FFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF})"
    R"(\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF}]+|[\x{E00}-\x{E7F}]+|[\x{E80}-\x{EFF}]+)"
    R"(|[\x{1780}-\x{17FF}]+|[\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF}]+)"
    R"(|[\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)";
// A cut before every digit that has a multiple of three digits of its run from it to the end.
// Published: (?=(\d{3})+(?!\d)).
constexpr std::string_view kDigitTriples =
    R"((?<!\d)\d{0,2}\K(?=(?:\d{3})++(?!\d))|(?<=\d)\G\d{2}\K(?=\d))";
constexpr std::string_view kPunctuationRuns = R"([\p{P}\$\+<=>\^~\|`]+)";

/// Kimi K2: o200k in which Han characters stand apart. Published with [...&&[^\p{Han}]]; here the
/// classes name what they leave out.
std::string kimi_k2() {
  const std::string upper =
      fmt::format(R"([^{}\p{{Ll}}\p{{N}}\p{{P}}\p{{S}}\p{{Z}}\p{{C}}])", kHan);
  const std::string lower =
      fmt::format(R"([^{}\p{{Lu}}\p{{Lt}}\p{{N}}\p{{P}}\p{{S}}\p{{Z}}\p{{C}}])", kHan);
  const std::string_view before = R"([^\r\n\p{L}\p{N}]?)";
  const std::string_view after = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)";
  return fmt::format("[{}]+|{}{}*{}+{}|{}{}+{}*{}", kHan, before, upper, lower, after, before,
                     upper, lower, after) +
         R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

std::vector<PreTokenizerStep> splits(const Patterns& patterns) {
  std::vector<PreTokenizerStep> steps;
  for (const std::string_view pattern : patterns) steps.push_back(isolated_split(pattern));
  return steps;
}

/// Rows that differ only in their names.
struct Family {
  std::vector<std::string_view> names;
  Patterns patterns;
  bool ignore_merges = false;
  bool add_bos = false;
  bool add_sep = false;
  bool nfc = false;
};

const std::vector<Family>& families() {
  static const std::string kimi = kimi_k2();
  static const std::vector<Family> table = {
      // What files mean that were written before the key existed.
      {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0",
        "mellum", "exaone4", "jais", "trillion", "granite-docling"},
       {kGpt2Pattern}},
      // RoBERTa's template, <s> text </s>.
      {.names = {"jina-v1-en", "jina-v2-code", "roberta-bpe"},
       .patterns = {kGpt2Pattern},
       .add_bos = true,
       .add_sep = true},
      {.names = {"mpt", "olmo", "modern-bert"}, .patterns = {kGpt2Pattern}, .nfc = true},
      {{"starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
       {R"(\p{N})", kGpt2Pattern}},
      {.names = {"command-r"}, .patterns = {R"(\p{N})", kGpt2Pattern}, .nfc = true},
      {{"falcon"}, {kPunctuationRuns, kGpt2Pattern, "[0-9][0-9][0-9]"}},
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0", "lfm2",
                 "jina-v5-nano"},
       .patterns = {kLlama3},
       .ignore_merges = true,
       .add_bos = true},
      {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {kLlama3}},
      {{"jais-2"}, {kJais2}},
      {.names = {"minicpm5"}, .patterns = {R"(\p{N}{1,3})", kMiniCpm5}, .ignore_merges = true},
      {.names = {"qwen2", "deepseek-r1-qwen", "f2llmv2", "stablelm2"},
       .patterns = {kQwen2},
       .nfc = true},
      {{"megrez", "kormo", "hunyuan", "grok-2", "solar-open"}, {kQwen2}},
      {.names = {"qwen35"}, .patterns = {kQwen35}, .nfc = true},
      {{"ufakzeka"}, {kUfakzeka}},
      {{"laguna"}, {kLagunaLines, kQwen2}},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {kGpt4o}},
      {{"tiny_aya", "cohere2moe"}, {kTinyAyaDigits, kGpt4o}},
      {.names = {"youtu"}, .patterns = {kYoutuScripts, kYoutu}, .ignore_merges = true},
      {.names = {"kimi-k2"}, .patterns = {kimi}, .ignore_merges = true},
      {.names = {"tekken"}, .patterns = {kTekken}, .ignore_merges = true, .add_bos = true},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {kBailing}},
      {{"seed-coder"}, {kSeedCoder}},
      {{"exaone-moe"}, {kExaoneMoe}},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {kBloom}},
      {{"viking"}, {kBloom, R"(\p{N})"}},
      {{"deepseek-llm"},
       {R"([\r\n])", kDeepseekLetters, kDeepseekPunctuation, kTrailingSpace, kDeepseekCjk,
        R"(\p{N}+)"}},
      {{"deepseek-coder"}, {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk, R"(\p{N})"}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
       {R"(\p{N}{1,3})", kDeepseekV3Cjk, kDeepseekV3}},
      {{"spark2_5"}, {R"(\p{N}{1,3})", kDeepseekV3Cjk, kSpark25, R"(\p{N})"}},
      {{"afmoe"}, {kAfmoeDigits, kAfmoeScripts, kDeepseekV3}},
      {.names = {"chameleon"},
       .patterns = {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                    R"(([\t\n]|    |  ))", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])", kGpt2Pattern},
       .add_bos = true},
      {{"superbpe"}, {R"(\p{N}+)", kDigitTriples}},
  };
  return table;
}

}  // namespace

PreTokenizerStep isolated_split(std::string_view pattern) {
  PreTokenizerStep step;
  step.pattern = pattern;
  return step;
}

std::string linear_pattern(std::string_view pattern) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kForms = {
      {{R"(\s+$)", kTrailingSpace},
       {R"((?=(\d{3})+(?!\d)))", kDigitTriples},
       {R"(\d{1,3}(?=(?:\d{3})*\b))", kTinyAyaDigits},
       {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)",
        kExaoneMoe}}};
  for (const auto& [published, linear] : kForms) {
    if (pattern == published) return std::string(linear);
  }
  return std::string(pattern);
}

NamedPreTokenizer named_pre_tokenizer(std::string_view name) {
  if (name.empty()) name = "default";
  for (const Family& family : families()) {
    if (std::find(family.names.begin(), family.names.end(), name) == family.names.end()) continue;
    return {name,           splits(family.patterns), family.ignore_merges,
            family.add_bos, family.add_sep,          family.nfc};
  }
  fail(Code::unsupported,
       "the pre-tokenizer '{}' is unknown, so this model's text cannot be cut as it was in "
       "training; "
       "known are {}",
       name, fmt::join(pre_tokenizer_names(), ", "));
}

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const Family& family : families()) {
    names.insert(names.end(), family.names.begin(), family.names.end());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace weir
