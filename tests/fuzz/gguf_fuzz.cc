// Fuzz target: GGUF bytes into read_gguf(). An error must be a typed one; whatever is accepted must
// be whole (every value and tensor is touched). The mutator knows the structure: it walks the file
// and changes counts, lengths, types, dimensions and offsets rather than random bytes.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "../unit/formats/inspect.h"
#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Random = std::minstd_rand;

size_t below(Random& random, size_t bound) {
  return bound == 0 ? 0 : std::uniform_int_distribution<size_t>(0, bound - 1)(random);
}

/// A number in the file that the reader interprets.
struct Spot {
  size_t at;
  size_t width;
};

/// Follows the structure as far as it makes sense, without trusting it, and collects the spots.
class Walker {
 public:
  explicit Walker(std::span<const uint8_t> bytes) : bytes_(bytes) {
    number(4, false);
    number(4);
    const uint64_t tensors = number(8);
    const uint64_t entries = number(8);
    for (uint64_t i = 0; i < entries && left() > 0 && spots_.size() < 4096; ++i) {
      text();
      value(static_cast<uint32_t>(number(4)), 0);
    }
    for (uint64_t i = 0; i < tensors && left() > 0 && spots_.size() < 4096; ++i) {
      text();
      const uint64_t rank = number(4);
      for (uint64_t d = 0; d < std::min<uint64_t>(rank, 8); ++d) number(8);
      number(4);
      number(8);
    }
  }
  const std::vector<Spot>& spots() const { return spots_; }
  size_t header_end() const { return at_; }

 private:
  size_t left() const { return bytes_.size() - at_; }

  uint64_t number(size_t width, bool spot = true) {
    if (left() < width) {
      at_ = bytes_.size();
      return 0;
    }
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + at_, width);
    if (spot) spots_.push_back({at_, width});
    at_ += width;
    return value;
  }

  void text() { at_ += std::min<uint64_t>(number(8), left()); }

  void value(uint32_t type, int depth) {
    constexpr std::array<size_t, 13> kWidths = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
      text();
    } else if (type == 9 && depth < 8) {
      const auto element = static_cast<uint32_t>(number(4));
      const uint64_t count = number(8);
      for (uint64_t i = 0; i < std::min<uint64_t>(count, 64) && left() > 0; ++i)
        value(element, depth + 1);
    } else if (type < kWidths.size()) {
      number(kWidths[type]);
    }
  }

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  std::vector<Spot> spots_;
};

uint64_t edge_value(Random& random, uint64_t old) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  switch (below(random, 8)) {
    case 0:
      return below(random, 64);
    case 1:
      return old + 1;
    case 2:
      return old - 1;
    case 3:
      return uint64_t{1} << below(random, 64);
    case 4:
      return (uint64_t{1} << below(random, 64)) - 1;
    case 5:
      return kMax - below(random, 64);
    case 6:
      return kMax / (1 + below(random, 64));
    default:
      return old ^ (uint64_t{1} << below(random, 64));
  }
}

/// A valid file of random shape.
std::string fresh_file(Random& random) {
  weir::MetadataBuilder metadata;
  metadata.add("general.architecture", "llama");
  if (below(random, 3) == 0) metadata.add("general.alignment", uint32_t{8} << below(random, 5));
  for (size_t i = below(random, 6); i > 0; --i) {
    const std::string key = "k." + std::to_string(i);
    switch (below(random, 7)) {
      case 0:
        metadata.add(key, static_cast<uint8_t>(i));
        break;
      case 1:
        metadata.add(key, -1.5f);
        break;
      case 2:
        metadata.add(key, i % 2 == 0);
        break;
      case 3:
        metadata.add(key, std::vector<std::string>{"a", "", "long enough to be seen"});
        break;
      case 4:
        metadata.add(key, std::vector<int32_t>(below(random, 40), 7));
        break;
      case 5:
        metadata.add(key, static_cast<int64_t>(-5));
        break;
      default:
        metadata.add(key, std::string(below(random, 50), 'x'));
    }
  }
  weir::GgufWriter writer(std::move(metadata));
  const std::vector<std::byte> content(1 << 14, std::byte{0x55});
  for (size_t i = below(random, 5); i > 0; --i) {
    const auto types = weir::all_dtypes();
    const weir::DTypeInfo& type = types[below(random, types.size())];
    std::vector<int64_t> dims = {type.block_elements};
    for (size_t rank = below(random, 4); rank > 0; --rank)
      dims.push_back(static_cast<int64_t>(1 + below(random, 3)));
    const auto bytes = *weir::checked_tensor_bytes(type.type, dims);
    writer.add_tensor("blk." + std::to_string(i) + ".weight", type.type, dims,
                      std::span(content).first(bytes));
  }
  return writer.to_bytes();
}

void change_spot(std::span<uint8_t> bytes, const std::vector<Spot>& spots, Random& random) {
  if (spots.empty()) return;
  const Spot spot = spots[below(random, spots.size())];
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + spot.at, spot.width);
  // Half of the time the value of another spot: types become plausible, offsets overlap.
  if (below(random, 2) == 0) {
    const Spot other = spots[below(random, spots.size())];
    value = 0;
    std::memcpy(&value, bytes.data() + other.at, std::min(spot.width, other.width));
  } else {
    value = edge_value(random, value);
  }
  std::memcpy(bytes.data() + spot.at, &value, spot.width);
}

/// Removes or repeats a stretch between two spots (an entry, a value, part of a list).
size_t change_extent(uint8_t* data, size_t size, size_t max_size, const std::vector<Spot>& spots,
                     Random& random) {
  if (spots.size() < 2) return size;
  size_t from = spots[below(random, spots.size())].at;
  size_t to = spots[below(random, spots.size())].at;
  if (from > to) std::swap(from, to);
  const size_t length = to - from;
  if (below(random, 2) == 0) {
    std::memmove(data + from, data + to, size - to);
    return size - length;
  }
  if (size + length > max_size) return size;
  std::memmove(data + to + length, data + to, size - to);
  std::memmove(data + to, data + from, length);
  return size + length;
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  Random random(seed);
  const size_t choice = below(random, 100);
  if (choice < 5 || size < 24) {
    const std::string fresh = fresh_file(random);
    if (fresh.size() <= max_size) {
      std::memcpy(data, fresh.data(), fresh.size());
      size = fresh.size();
    }
    if (choice < 5) return size;
  }
  if (choice < 45) {
    const Walker walker(std::span(data, size));
    for (size_t i = 1 + below(random, 3); i > 0; --i)
      change_spot(std::span(data, size), walker.spots(), random);
    return size;
  }
  if (choice < 60) {
    const Walker walker(std::span(data, size));
    return change_extent(data, size, max_size, walker.spots(), random);
  }
  if (choice < 65) return 1 + below(random, size);
  if (choice < 80) {  // random changes, but only before the tensor data
    const size_t head = Walker(std::span(data, size)).header_end();
    std::vector<uint8_t> part(data, data + head);
    part.resize(max_size - (size - head));
    const size_t changed = LLVMFuzzerMutate(part.data(), head, part.size());
    std::memmove(data + changed, data + head, size - head);
    std::memcpy(data, part.data(), changed);
    return size - head + changed;
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const weir::Checkpoint checkpoint = weir::read_gguf(bytes, "fuzz");
    weir::test::inspect(checkpoint, bytes);
  } catch (const weir::Error& error) {
    if (error.code() == weir::Code::internal) std::abort();
  }
  return 0;
}
