// Fuzz target: safetensors bytes into read_safetensors(). An error must be a typed one; whatever is
// accepted must be whole. The mutator changes the JSON header by tokens and keeps the length field
// and the data section fitting, so that most inputs reach the checks behind the JSON parser.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../unit/formats/inspect.h"
#include "base/error.h"
#include "formats/safetensors.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Random = std::minstd_rand;

size_t below(Random& random, size_t bound) {
  return bound == 0 ? 0 : std::uniform_int_distribution<size_t>(0, bound - 1)(random);
}

constexpr std::array<std::string_view, 34> kTokens = {"{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      ":",
                                                      "\"a\"",
                                                      "\"b\"",
                                                      "\"__metadata__\"",
                                                      "\"dtype\"",
                                                      "\"shape\"",
                                                      "\"data_offsets\"",
                                                      "\"F32\"",
                                                      "\"F16\"",
                                                      "\"BF16\"",
                                                      "\"I64\"",
                                                      "\"I8\"",
                                                      "\"U8\"",
                                                      "\"F8_E4M3\"",
                                                      "0",
                                                      "1",
                                                      "4",
                                                      "8",
                                                      "16",
                                                      "-1",
                                                      "1.5",
                                                      "1e9",
                                                      "null",
                                                      "true",
                                                      "9223372036854775807",
                                                      "9223372036854775808",
                                                      "18446744073709551615",
                                                      "4294967296",
                                                      "\"\\u0000\""};

/// The header cut into tokens: strings, runs of word characters, single other characters.
std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (text[i] == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else if (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '-') {
      while (end < text.size() &&
             (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '.'))
        ++end;
    }
    out.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

/// A valid header of random shape, and the bytes of data that it describes.
std::string fresh_header(Random& random, size_t& data) {
  struct Type {
    std::string_view name;
    size_t bytes;
  };
  constexpr std::array<Type, 5> kTypes = {
      {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I8", 1}}};
  std::string out = "{";
  if (below(random, 2) == 0) out += R"("__metadata__":{"format":"pt"},)";
  data = 0;
  const size_t count = 1 + below(random, 4);
  for (size_t i = 0; i < count; ++i) {
    const Type type = kTypes[below(random, kTypes.size())];
    size_t elements = 1;
    std::string shape;
    for (size_t rank = below(random, 4); rank > 0; --rank) {
      const size_t extent = below(random, 5);
      elements *= extent;
      shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    }
    const size_t end = data + elements * type.bytes;
    out += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\":{\"dtype\":\"" +
           std::string(type.name) + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
           std::to_string(data) + "," + std::to_string(end) + "]}";
    data = end;
  }
  return out + "}";
}

void change_tokens(std::vector<std::string>& tokens, Random& random) {
  if (tokens.empty()) tokens.emplace_back("{}");
  const size_t at = below(random, tokens.size());
  const auto here = tokens.begin() + static_cast<std::ptrdiff_t>(at);
  const std::string any(kTokens[below(random, kTokens.size())]);
  switch (below(random, 6)) {
    case 0:
      tokens[at] = any;
      break;
    case 1:
      tokens.insert(here, any);
      break;
    case 2:
      tokens.erase(here);
      break;
    case 3:
      std::swap(tokens[at], tokens[below(random, tokens.size())]);
      break;
    case 4:
      tokens[at] = tokens[below(random, tokens.size())];
      break;
    default: {  // repeat a stretch
      const size_t length = std::min(1 + below(random, 24), tokens.size() - at);
      const std::vector<std::string> copy(here, here + static_cast<std::ptrdiff_t>(length));
      tokens.insert(here, copy.begin(), copy.end());
    }
  }
}

size_t put(uint8_t* out, size_t max_size, std::string_view header, std::string_view data) {
  const uint64_t length = header.size();
  if (sizeof(length) + header.size() + data.size() > max_size) return 0;
  std::memcpy(out, &length, sizeof(length));
  std::memcpy(out + sizeof(length), header.data(), header.size());
  std::memcpy(out + sizeof(length) + header.size(), data.data(), data.size());
  return sizeof(length) + header.size() + data.size();
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* bytes, size_t size, size_t max_size,
                                          unsigned int seed) {
  Random random(seed);
  const size_t choice = below(random, 100);
  uint64_t length = 0;
  if (size >= sizeof(length)) std::memcpy(&length, bytes, sizeof(length));
  if (choice < 10 || size < 10 || length > size - sizeof(length)) {
    size_t data = 0;
    const std::string header = fresh_header(random, data);
    const size_t made = put(bytes, max_size, header, std::string(data, 'd'));
    return made != 0 ? made : LLVMFuzzerMutate(bytes, size, max_size);
  }
  if (choice < 20) return LLVMFuzzerMutate(bytes, size, max_size);
  std::string header(reinterpret_cast<const char*>(bytes) + sizeof(length), length);
  std::string data(reinterpret_cast<const char*>(bytes) + sizeof(length) + length,
                   size - sizeof(length) - length);
  if (choice < 70) {
    std::vector<std::string> tokens = tokens_of(header);
    for (size_t i = 1 + below(random, 3); i > 0; --i) change_tokens(tokens, random);
    header.clear();
    for (const std::string& token : tokens) header += token;
  } else if (choice < 90) {
    header.resize(length + 64);
    header.resize(
        LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(header.data()), length, header.size()));
  } else {
    data.resize(below(random, data.size() + 16), 'd');
  }
  const size_t made = put(bytes, max_size, header, data);
  return made != 0 ? made : LLVMFuzzerMutate(bytes, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const weir::Checkpoint checkpoint = weir::read_safetensors(bytes, "fuzz");
    weir::test::inspect(checkpoint, bytes);
  } catch (const weir::Error& error) {
    if (error.code() == weir::Code::internal) std::abort();
  }
  return 0;
}
