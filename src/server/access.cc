#include "server/access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace weir {
namespace {

ApiError unauthorized(const std::string& message) {
  ApiError error(401, "authentication_error", message);
  error.code = "invalid_api_key";
  return error;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return "";
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

struct Address {
  std::string name;      // lower case, without brackets
  bool literal = false;  // an IP address
};

[[noreturn]] void refuse_host(std::string_view why) {
  throw ApiError(400, "invalid_request_error", fmt::format("the Host header {}", why));
}

bool is_address(int family, const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(family, text.c_str(), bytes) == 1;
}

/// RFC 9110 7.2: host [":" port].
Address parse_host(std::string_view host) {
  if (host.empty()) refuse_host("is empty");
  if (host.size() > 260) refuse_host("is too long");
  Address address;
  std::string_view rest;
  if (host.front() == '[') {
    const auto end = host.find(']');
    if (end == std::string_view::npos) refuse_host("has no closing ']'");
    address.name = lower(host.substr(1, end - 1));
    if (!is_address(AF_INET6, address.name)) refuse_host("holds no IPv6 address");
    address.literal = true;
    rest = host.substr(end + 1);
  } else {
    const auto colon = host.find(':');
    address.name = lower(host.substr(0, colon));
    rest = colon == std::string_view::npos ? "" : host.substr(colon);
    address.literal = is_address(AF_INET, address.name);
    const auto ok = [](unsigned char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    };
    if (address.name.empty() || !std::all_of(address.name.begin(), address.name.end(), ok))
      refuse_host("names no host");
  }
  if (rest.empty()) return address;
  int port = 0;
  const char* const end = rest.data() + rest.size();
  const auto [at, error] = std::from_chars(rest.data() + 1, end, port);
  if (rest.front() != ':' || rest.size() > 6 || error != std::errc() || at != end || port < 1 ||
      port > 65535)
    refuse_host("has a bad port");
  return address;
}

}  // namespace

KeyRing::KeyRing(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const bool plain =
        std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 127; });
    if (key.size() < 8 || key.size() > 512 || !plain)
      fail(Code::invalid_argument, "an API key must have 8 to 512 visible ASCII characters");
    hashes_.push_back(sha256(key));
  }
}

std::string KeyRing::tenant(std::string_view authorization, std::string_view x_api_key) const {
  if (hashes_.empty()) return "";
  std::string_view key = x_api_key;
  constexpr std::string_view kBearer = "bearer ";
  if (lower(authorization.substr(0, kBearer.size())) == kBearer)
    key = trim(authorization.substr(kBearer.size()));
  if (key.empty()) throw unauthorized("an API key is needed: send 'Authorization: Bearer KEY'");
  const Digest hash = sha256(key);
  const Digest* found = nullptr;
  for (const Digest& known : hashes_)
    if (CRYPTO_memcmp(known.data(), hash.data(), hash.size()) == 0) found = &known;
  if (found == nullptr) throw unauthorized("the API key is wrong");
  return to_hex(*found).substr(0, 16);
}

std::vector<std::string> keys_in_file(const std::string& content) {
  std::vector<std::string> keys;
  size_t at = 0;
  while (at < content.size()) {
    const size_t end = std::min(content.find('\n', at), content.size());
    const std::string_view line = trim(std::string_view(content).substr(at, end - at));
    if (!line.empty() && line.front() != '#') keys.emplace_back(line);
    at = end + 1;
  }
  return keys;
}

std::vector<std::string> keys_in_list(std::string_view text) {
  std::vector<std::string> keys;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (const auto key = trim(text.substr(0, comma)); !key.empty()) keys.emplace_back(key);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return keys;
}

void check_host(const HostPolicy& policy, std::string_view host) {
  const Address address = parse_host(host);
  if (address.literal || address.name == "localhost") return;
  if (std::find(policy.names.begin(), policy.names.end(), address.name) != policy.names.end())
    return;
  ApiError error(403, "permission_error",
                 fmt::format("the host name '{}' is not allowed; the server's owner can allow it "
                             "with --allow-host",
                             address.name));
  error.code = "host_not_allowed";
  throw error;
}

bool check_origin(const HostPolicy& policy, std::string_view origin, std::string_view host) {
  if (std::find(policy.origins.begin(), policy.origins.end(), origin) != policy.origins.end())
    return true;
  const std::string own = lower(host);
  const std::string given = lower(origin);
  if (given == "http://" + own || given == "https://" + own) return false;
  ApiError error(403, "permission_error",
                 "pages of this origin are not allowed; the server's owner can allow one with "
                 "--allow-origin");
  error.code = "origin_not_allowed";
  throw error;
}

bool is_loopback(std::string_view address) {
  in_addr v4{};
  const std::string text(address);
  if (text == "localhost" || text == "::1") return true;
  return inet_pton(AF_INET, text.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

void RateLimiter::take(const std::string& key) {
  if (per_minute_ <= 0) return;
  const std::lock_guard lock(mutex_);
  const auto now = now_();
  auto [at, is_new] = buckets_.try_emplace(key, Bucket{per_minute_, now});
  Bucket& bucket = at->second;
  const double passed = std::chrono::duration<double>(now - bucket.at).count();
  bucket.tokens = std::min(per_minute_, bucket.tokens + passed * per_minute_ / 60);
  bucket.at = now;
  if (bucket.tokens < 1) {
    ApiError error(429, "rate_limit_error",
                   fmt::format("more than {:.0f} requests a minute with this key", per_minute_));
    error.code = "rate_limit_exceeded";
    error.retry_after =
        std::max(1, static_cast<int>(std::ceil((1 - bucket.tokens) * 60 / per_minute_)));
    throw error;
  }
  bucket.tokens -= 1;
}

}  // namespace weir
