// What the template tests share: rendering against a JSON context, and how errors are compared.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/jinja/template.h"

namespace weir::test {

using Json = nlohmann::ordered_json;

struct Outcome {
  std::string text;
  std::string error;  // empty if it rendered
  Code code = Code::internal;
  std::uint64_t steps = 0;
};

/// 2025-07-10 12:00, a Thursday: the clock of the golden files.
inline std::tm golden_time() {
  std::tm out{};
  out.tm_year = 125;
  out.tm_mon = 6;
  out.tm_mday = 10;
  out.tm_hour = 12;
  out.tm_wday = 4;
  out.tm_yday = 190;
  return out;
}

inline Outcome render(const std::string& source, const Json& context,
                      const jinja::Limits& limits = {}) {
  Outcome out;
  try {
    const auto parsed = jinja::Template::parse(source);
    std::vector<jinja::Variable> variables;
    for (const auto& [name, value] : context.items()) variables.push_back({name, &value});
    const jinja::Rendered rendered = parsed.render(variables, golden_time(), limits);
    out.text = rendered.text;
    out.steps = rendered.steps;
  } catch (const Error& error) {
    out.error = error.what();
    out.code = error.code();
  }
  return out;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace weir::test
