#include "unit/text/vocabularies.h"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>

#include "base/file.h"
#include "formats/gguf.h"
#include "formats/metadata.h"
#include "support/shared_data.h"
#include "text/byte_alphabet.h"

namespace weir::test {
namespace {

TokenizerKind kind_of(const std::string& model) {
  if (model == "llama") return TokenizerKind::spm;
  if (model == "bert") return TokenizerKind::wordpiece;
  if (model == "t5") return TokenizerKind::unigram;
  return TokenizerKind::bpe;
}

std::string decode_base64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0' + 52);
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      break;
    }
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count));
    }
  }
  return bytes;
}

/// Splits a token in the two parts that the lower ranks leave of it.
std::pair<std::string, std::string> last_merge(
    const std::string& token, const std::unordered_map<std::string, int32_t>& ranks) {
  std::vector<std::string> parts;
  for (const char c : token) parts.emplace_back(1, c);
  const int32_t own = ranks.at(token);
  while (parts.size() > 2) {
    int32_t best = own;
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto hit = ranks.find(parts[i] + parts[i + 1]);
      if (hit != ranks.end() && hit->second < best) {
        best = hit->second;
        at = i;
      }
    }
    if (best == own) return {};
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  return {parts[0], parts[1]};
}

}  // namespace

VocabularySpec gguf_vocabulary(const std::filesystem::path& path) {
  const Checkpoint checkpoint = read_gguf(path);
  const Metadata& metadata = checkpoint.metadata();
  const auto key = [](std::string_view name) { return "tokenizer.ggml." + std::string(name); };
  const auto id = [&](std::string_view name) -> std::optional<int32_t> {
    const auto value = metadata.get<uint32_t>(key(name));
    return value ? std::optional(static_cast<int32_t>(*value)) : std::nullopt;
  };
  VocabularySpec spec;
  spec.name = metadata.require<std::string>(key("model"));
  spec.kind = kind_of(spec.name);
  spec.pre = metadata.get_or<std::string>(key("pre"), "");
  spec.tokens = metadata.require<std::vector<std::string>>(key("tokens"));
  spec.scores = metadata.get_or<std::vector<float>>(key("scores"), {});
  for (const int32_t type : metadata.get_or<std::vector<int32_t>>(key("token_type"), {})) {
    spec.types.push_back(token_type_from(type));
  }
  spec.merges = metadata.get_or<std::vector<std::string>>(key("merges"), {});
  spec.bos = id("bos_token_id");
  spec.eos = id("eos_token_id");
  spec.unk = id("unknown_token_id");
  spec.sep = id("seperator_token_id");  // the format's own spelling
  spec.pad = id("padding_token_id");
  spec.cls = id("cls_token_id");
  spec.mask = id("mask_token_id");
  spec.add_bos = metadata.get<bool>(key("add_bos_token"));
  spec.add_eos = metadata.get<bool>(key("add_eos_token"));
  spec.add_space_prefix = metadata.get<bool>(key("add_space_prefix"));
  return spec;
}

VocabularySpec tiktoken_vocabulary(const std::filesystem::path& path, std::string_view pre) {
  std::istringstream lines(read_file(path));
  std::vector<std::string> tokens;
  std::unordered_map<std::string, int32_t> ranks;
  std::string base64;
  int32_t rank = 0;
  while (lines >> base64 >> rank) {
    tokens.push_back(decode_base64(base64));
    ranks[tokens.back()] = rank;
  }
  VocabularySpec spec;
  spec.name = "tiktoken";
  spec.pre = pre;
  for (const std::string& token : tokens) {
    spec.tokens.push_back(to_byte_alphabet(token));
    if (token.size() < 2) continue;
    const auto [left, right] = last_merge(token, ranks);
    if (!left.empty()) {
      spec.merges.push_back(to_byte_alphabet(left) + " " + to_byte_alphabet(right));
    }
  }
  return spec;
}

VocabularySpec encoder_vocabulary(const std::filesystem::path& encoder,
                                  const std::filesystem::path& merges, std::string_view pre) {
  VocabularySpec spec;
  spec.name = "gpt2";
  spec.pre = pre;
  const auto ids = nlohmann::json::parse(read_file(encoder));
  spec.tokens.resize(ids.size());
  for (const auto& [token, id] : ids.items()) spec.tokens.at(id.get<size_t>()) = token;
  std::istringstream lines(read_file(merges));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && !line.starts_with("#version")) spec.merges.push_back(line);
  }
  return spec;
}

VocabularySpec bert_vocabulary(const std::filesystem::path& path) {
  VocabularySpec spec;
  spec.kind = TokenizerKind::wordpiece;
  spec.name = "bert";
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const auto id = static_cast<int32_t>(spec.tokens.size());
    if (line == "[UNK]") spec.unk = id;
    if (line == "[CLS]") spec.cls = id;
    if (line == "[SEP]") spec.sep = id;
    const bool special = line == "[PAD]" || line == "[UNK]" || line == "[CLS]" || line == "[SEP]" ||
                         line == "[MASK]";
    spec.types.push_back(special ? TokenType::control : TokenType::normal);
    spec.tokens.push_back(line);
  }
  return spec;
}

std::optional<VocabularySpec> published_vocabulary(std::string_view name) {
  const std::string folder = "tokenizers/";
  if (name == "llama-bpe") {
    const auto encoder = shared_data(folder + "llama3.2/encoder.json");
    const auto merges = shared_data(folder + "llama3.2/vocab.bpe");
    if (!encoder || !merges) return std::nullopt;
    VocabularySpec spec = encoder_vocabulary(*encoder, *merges, name);
    // The special ids of Llama 3.2, from its published tokenizer.json.
    spec.types.assign(spec.tokens.size(), TokenType::normal);
    for (int i = 0; i < 256; ++i) {
      spec.tokens.push_back(i == 0   ? "<|begin_of_text|>"
                            : i == 1 ? "<|end_of_text|>"
                            : i == 9 ? "<|eot_id|>"
                                     : "<|reserved_special_token_" + std::to_string(i) + "|>");
      spec.types.push_back(TokenType::control);
    }
    spec.bos = 128000;
    spec.eos = 128001;
    spec.eot = 128009;
    return spec;
  }
  if (name == "qwen2" || name == "deepseek-r1-qwen") {
    const auto ranks = shared_data(folder + "qwen/qwen.tiktoken");
    if (!ranks) return std::nullopt;
    VocabularySpec spec = tiktoken_vocabulary(*ranks, name);
    spec.types.assign(spec.tokens.size(), TokenType::normal);
    for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
      spec.tokens.emplace_back(special);
      spec.types.push_back(TokenType::control);
    }
    spec.eos = static_cast<int32_t>(spec.tokens.size()) - 1;
    return spec;
  }
  if (name == "bert-vocab") {
    const auto path = shared_data(folder + "swift-vectors/bert-vocab.txt");
    return path ? std::optional(bert_vocabulary(*path)) : std::nullopt;
  }
  const auto path = shared_data(folder + "ggml-vocab/ggml-vocab-" + std::string(name) + ".gguf");
  return path ? std::optional(gguf_vocabulary(*path)) : std::nullopt;
}

std::shared_ptr<const Tokenizer> published_tokenizer(std::string_view name) {
  static std::map<std::string, std::shared_ptr<const Tokenizer>, std::less<>> made;
  const auto known = made.find(name);
  if (known != made.end()) return known->second;
  const auto spec = published_vocabulary(name);
  return made[std::string(name)] = spec ? Tokenizer::create(*spec) : nullptr;
}

std::vector<Vector> read_vectors(const std::filesystem::path& inp) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  auto out = inp;
  out.replace_extension(".out");
  const std::string texts = read_file(inp);
  std::istringstream lines(read_file(out));
  std::vector<Vector> vectors;
  for (size_t at = 0; at < texts.size();) {
    const size_t end = texts.find(kSeparator, at);
    Vector vector;
    vector.text = texts.substr(at, end - at);
    std::string line;
    std::getline(lines, line);
    std::istringstream numbers(line);
    for (int32_t id = 0; numbers >> id;) vector.ids.push_back(id);
    vectors.push_back(std::move(vector));
    if (end == std::string::npos) break;
    at = end + kSeparator.size();
  }
  return vectors;
}

std::string joined(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += std::to_string(id) + " ";
  return text;
}

}  // namespace weir::test
