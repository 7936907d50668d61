#include "cache/page_identity.h"

namespace weir {
namespace {

// A change of the layout of pages in memory needs a new name here.
constexpr std::string_view kScheme = "weir-page-1";

void put_u32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 0xff);
}

void put_field(std::string& out, char tag, std::string_view bytes) {
  out += tag;
  put_u32(out, static_cast<uint32_t>(bytes.size()));
  out += bytes;
}

std::string_view text_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

std::string PageIdentity::bytes() const {
  std::string out(kScheme);
  out.reserve(192 + cache_type.size() + attention.size() + tenant.size() + 4 * tokens.size());
  put_field(out, 'm', text_of(model));
  put_field(out, 'c', cache_type);
  put_field(out, 'a', attention);
  std::string number;
  put_u32(number, numerics);
  put_field(out, 'n', number);
  put_field(out, 't', tenant);
  put_field(out, 'p', text_of(parent));
  std::string ids;
  for (const int32_t token : tokens) put_u32(ids, static_cast<uint32_t>(token));
  put_field(out, 'i', ids);
  return out;
}

PageKey page_key(const PageIdentity& identity) { return page_key(identity.bytes()); }
PageKey page_key(std::string_view identity_bytes) { return sha256(identity_bytes); }

}  // namespace weir
