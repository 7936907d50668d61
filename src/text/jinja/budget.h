// What one rendering may spend: steps (work), memory (live values) and output. Every loop, copy and
// allocation of the interpreter goes through here, so that a hostile template ends in an error
// after bounded time and memory. Also the two exceptions that carry a failure up to the renderer.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace weir::jinja {

struct Limits {
  int depth = 64;                   // nested constructs in the source, nested calls, nested values
  std::uint64_t steps = 1'000'000;  // evaluated nodes, plus a share for every byte touched
  std::size_t output = 16u << 20;   // bytes of rendered text
  std::size_t memory = 40u << 20;   // bytes of live values made while rendering
};

/// A Python exception that the reference would raise here. Becomes a weir::Error with line and
/// construct at the border of the engine.
struct Raise {
  std::string type;
  std::string message;
};

/// A limit of this rendering was passed.
struct LimitHit {
  std::string message;
};

template <typename... Args>
[[noreturn]] void raise(const char* type, fmt::format_string<Args...> format, Args&&... args) {
  throw Raise{type, fmt::format(format, std::forward<Args>(args)...)};
}

class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  const Limits& limits() const { return limits_; }
  std::uint64_t steps() const { return steps_; }

  void step(std::uint64_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) [[unlikely]]
      steps_exceeded();
  }
  /// Work of moving bytes (about 10 GB/s): one step per 512.
  void copy(std::size_t bytes) { step(bytes / 512); }
  /// Work of looking at bytes one by one (about 0.5 GB/s): one step per 64.
  void scan(std::size_t bytes) { step(bytes / 64); }

  void take(std::size_t bytes) {
    used_ += bytes;
    if (used_ > limits_.memory) [[unlikely]]
      memory_exceeded(bytes);
  }
  void give(std::size_t bytes) { used_ -= bytes; }

  /// Refuses, before it is allocated, text that is larger than a whole output may be.
  void expect(std::size_t bytes) const {
    if (bytes > limits_.output) too_large(bytes);
  }

 private:
  [[noreturn]] void steps_exceeded() const;
  [[noreturn]] void memory_exceeded(std::size_t bytes);
  [[noreturn]] void too_large(std::size_t bytes) const;

  Limits limits_;
  std::uint64_t steps_ = 0;
  std::size_t used_ = 0;
};

}  // namespace weir::jinja
