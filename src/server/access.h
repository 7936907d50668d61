// Who may ask: API keys, the Host and Origin of browsers, requests a minute. Owns these checks;
// refuses to know routes and bodies. Keys are kept as hashes and compared in constant time.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "server/api_error.h"

namespace weir {

class KeyRing {
 public:
  /// Throws invalid_argument for keys shorter than 8 or longer than 512 bytes, or with spaces.
  explicit KeyRing(const std::vector<std::string>& keys);

  bool empty() const { return hashes_.empty(); }

  /// The tenant that a key stands for, from "Authorization: Bearer KEY" or "X-Api-Key: KEY"; ""
  /// if no keys are set. Throws ApiError 401. Compares with every key, in constant time each.
  std::string tenant(std::string_view authorization, std::string_view x_api_key) const;

 private:
  std::vector<Digest> hashes_;
};

/// Keys of a file: one a line, '#' begins a comment line. Of a text: separated by commas.
std::vector<std::string> keys_in_file(const std::string& content);
std::vector<std::string> keys_in_list(std::string_view text);

struct HostPolicy {
  std::vector<std::string> names;    // beside localhost and addresses; lower case
  std::vector<std::string> origins;  // "https://app.example"; exact
};

/// Throws ApiError: 400 for a Host that is none, 403 for a name that is not listed. Addresses and
/// localhost pass: DNS rebinding needs a name.
void check_host(const HostPolicy& policy, std::string_view host);

/// True if the origin is listed (and CORS headers are due), false if it is the server's own (same
/// Host); throws ApiError 403 for any other.
bool check_origin(const HostPolicy& policy, std::string_view origin, std::string_view host);

/// True for 127.0.0.0/8, ::1 and localhost.
bool is_loopback(std::string_view address);

/// A bucket of requests for each key: `per_minute` on average, as many at once.
class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;
  /// 0: no limit.
  explicit RateLimiter(int64_t per_minute, std::function<Clock::time_point()> now = Clock::now)
      : per_minute_(static_cast<double>(per_minute)), now_(std::move(now)) {}

  /// Throws ApiError 429 with the seconds to wait.
  void take(const std::string& key);

 private:
  struct Bucket {
    double tokens = 0;
    Clock::time_point at;
  };
  const double per_minute_;
  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;  // as many as there are keys
};

}  // namespace weir
