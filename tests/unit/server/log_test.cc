// One event, one line, whatever is in it.
#include "server/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace weir {
namespace {

const std::vector<std::string> kHostile = {
    "a\r\nb",   "\x1b[31mred",          "\xe2\x80\xa8 line",    "\xc2\x9b",
    "\xff\xfe", std::string("n\0l", 3), "quote\" and \\ slash", "key=value other=thing",
    "\x7f\b\t"};

TEST(Log, TextHasOneLineAndNoControlBytes) {
  std::string out;
  EventLog log(LogFormat::text, [&](std::string_view line) { out += line; });
  for (const std::string& text : kHostile) {
    out.clear();
    log.write("info", "request", {{"path", text}, {"status", int64_t{200}}});
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
    for (const char c : out.substr(0, out.size() - 1))
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << text;
    EXPECT_EQ(out.find("\xc2\x9b"), std::string::npos);
    EXPECT_EQ(out.find("\xe2\x80\xa8"), std::string::npos);
    EXPECT_NE(out.find(" status=200\n"), std::string::npos);
  }
}

TEST(Log, JsonIsJson) {
  std::string out;
  EventLog log(LogFormat::json, [&](std::string_view line) { out += line; });
  for (const std::string& text : kHostile) {
    out.clear();
    log.write("info", "request", {{"path", text}, {"seconds", 0.5}, {"ok", true}});
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
    const auto json = nlohmann::json::parse(out);
    EXPECT_EQ(json["event"], "request");
    EXPECT_EQ(json["seconds"], 0.5);
    EXPECT_EQ(json["ok"], true);
  }
}

}  // namespace
}  // namespace weir
