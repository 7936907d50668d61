#include "cache/page_identity.h"

namespace weir {
namespace {

// A change of the layout of pages in memory needs new words here.
constexpr std::string_view kIdentityScheme = "weir-prefix-1";
constexpr std::string_view kPageScheme = "weir-page-1";

void put_u32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 0xff);
}

void put_field(std::string& out, char tag, std::string_view bytes) {
  out += tag;
  put_u32(out, static_cast<uint32_t>(bytes.size()));
  out += bytes;
}

std::string_view text_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

std::string PrefixIdentity::bytes() const {
  std::string out(kIdentityScheme);
  put_field(out, 'm', text_of(model));
  put_field(out, 'k', kv_type);
  put_field(out, 'a', attention);
  std::string number;
  put_u32(number, numerics);
  put_field(out, 'n', number);
  put_field(out, 't', tenant);
  return out;
}

PageKey first_page_key(std::string_view identity) { return sha256(identity); }

std::string page_name(const PageKey& before, std::span<const int32_t> tokens) {
  std::string out(kPageScheme);
  out.reserve(out.size() + before.size() + 4 * tokens.size());
  out += text_of(before);
  for (const int32_t token : tokens) put_u32(out, static_cast<uint32_t>(token));
  return out;
}

PageKey page_key(std::string_view name) { return sha256(name); }

}  // namespace weir
