// Names and keys of pages, hashes, file names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <set>

#include "base/error.h"
#include "cache/disk_folder.h"
#include "cache/disk_format.h"
#include "cache/page_identity.h"
#include "support/clock.h"
#include "support/temp_dir.h"

namespace weir::test {
namespace {

TEST(Hash, PublishedValues) {
  // FIPS 180-2, appendix B; XXH3-128 of nothing as in xxHash's own specification.
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(checksum({}), (Checksum{0x6001c324468d497f, 0x99aa06d3014798d8}));
}

TEST(Hash, OfAFile) {
  const TempDir folder;
  const auto path = folder.path() / "file", link = folder.path() / "link";
  std::string text;
  for (int i = 0; i < 500000; ++i) text += std::to_string(i);
  std::ofstream(path) << text;
  std::filesystem::create_symlink(path, link);
  uint64_t seen = 0;
  EXPECT_EQ(sha256_file(path, [&](uint64_t done) { seen = done; }), sha256(text));
  EXPECT_EQ(seen, text.size());
  EXPECT_EQ(sha256_file(link), sha256(text));
  EXPECT_THROW(sha256_file(folder.path() / "missing"), Error);
  EXPECT_THROW(sha256_file(folder.path()), Error);
}

TEST(Hash, OfPiecesIsOfTheWhole) {
  std::string text(10000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i);
  const auto bytes = std::as_bytes(std::span(text));
  for (const size_t piece : {1, 7, 64, 4096}) {
    ChecksumStream stream;
    for (size_t at = 0; at < bytes.size(); at += piece)
      stream.add(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    EXPECT_EQ(stream.value(), checksum(bytes));
  }
}

// Distinct identities, distinct bytes: also where one field's text looks like another's.
TEST(PageIdentity, FieldsAreNeverConfused) {
  std::mt19937_64 random(5);
  const auto text = [&random] {
    std::string result;
    for (auto n = random() % 4; n > 0; --n) result += "mkant\0\1p"[random() % 8];
    return result;
  };
  std::set<std::tuple<Digest, std::string, std::string, uint32_t, std::string>> tuples;
  std::set<std::string> bytes;
  for (int i = 0; i < (long_tests() ? 1000000 : 100000); ++i) {
    PrefixIdentity identity;
    identity.model[random() % 32] = static_cast<std::byte>(random() % 2);
    identity.kv_type = text();
    identity.attention = text();
    identity.numerics = static_cast<uint32_t>(random() % 3);
    identity.tenant = text();
    tuples.emplace(identity.model, identity.kv_type, identity.attention, identity.numerics,
                   identity.tenant);
    bytes.insert(identity.bytes());
  }
  EXPECT_EQ(bytes.size(), tuples.size());
}

TEST(PageIdentity, KeysDependOnEverythingBefore) {
  PrefixIdentity a;
  PrefixIdentity b = a;
  b.tenant = "another";
  const std::vector<int32_t> one = {1, 2, 3}, two = {1, 2, 4};
  const auto chain = [&](const PrefixIdentity& identity, const std::vector<int32_t>& first) {
    const PageKey key = page_key(page_name(first_page_key(identity.bytes()), first));
    return page_key(page_name(key, one));
  };
  const std::set<PageKey> keys = {chain(a, one), chain(a, two), chain(b, one), chain(b, two)};
  EXPECT_EQ(keys.size(), 4u);
  EXPECT_EQ(chain(a, one), chain(a, one));
}

TEST(DiskFolder, NamesAreStrict) {
  EXPECT_EQ(disk_file_name(255, kSegmentEnding), "kv-00000000000000ff.seg");
  EXPECT_EQ(disk_file_number("kv-00000000000000ff.seg", kSegmentEnding), 255u);
  for (const char* name : {"kv-00000000000000FF.seg", "kv-00000000000000ff.tmp", "kv-ff.seg", "",
                           "kv-+0000000000000ff.seg", "kv-ffffffffffffffff.seg",
                           "xkv-00000000000000ff.seg", "kv-00000000000000ff.segx"})
    EXPECT_EQ(disk_file_number(name, kSegmentEnding), std::nullopt) << name;
}

// The bytes of version 1, written down once: a change of the layout needs another version.
TEST(DiskFormat, GoldenHead) {
  SegmentEntry entry;
  entry.key.fill(std::byte{0x11});
  entry.identity_bytes = 3;
  entry.payload_bytes = 5;
  entry.checksum = {0x0807060504030201, 0x100f0e0d0c0b0a09};
  const std::string head = encode_segment_head({&entry, 1});
  const std::string expected(
      "WEIRKVS\n"
      "\x01\0\0\0"
      "\x01\0\0\0"
      "\x8c\0\0\0\0\0\0\0"
      "\x44\0\0\0\0\0\0\0",
      32);
  ASSERT_EQ(head.size(), kSegmentHeadBytes + kSegmentEntryBytes);
  EXPECT_EQ(head.substr(0, 32), expected);
  EXPECT_EQ(head.substr(64),
            std::string(32, '\x11') +
                std::string("\x84\0\0\0\0\0\0\0"
                            "\x03\0\0\0"
                            "\x05\0\0\0\0\0\0\0",
                            20) +
                "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
  const auto entries = decode_segment_index(std::as_bytes(std::span(head)), 0x8c);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].offset, 0x84u);
}

}  // namespace
}  // namespace weir::test
