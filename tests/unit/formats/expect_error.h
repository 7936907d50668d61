// Asserts that something is refused, with which code and which words.
#pragma once

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace weir::test {

/// The error that `action` throws; fails the test if it throws none.
template <typename Action>
std::optional<Error> error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

/// `action` throws Error{code} and the message holds all of `words`.
template <typename Action>
void expect_error(Code code, const std::vector<std::string>& words, const Action& action) {
  const auto error = error_of(action);
  ASSERT_TRUE(error.has_value()) << "accepted, expected an error";
  EXPECT_EQ(error->code(), code) << error->what();
  for (const std::string& word : words) EXPECT_THAT(error->what(), ::testing::HasSubstr(word));
}

}  // namespace weir::test
