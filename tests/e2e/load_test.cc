// `weir load` against `weir serve` with the embedded model: the short form of R1 and R6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "e2e/served_program.h"
#include "server/load.h"

namespace weir {
namespace {

TEST(Load, EightStreamsGetWhatEachGetsAlone) {
  test::ServedProgram program({"--log", "off"});
  LoadTarget target = parse_load_url(program.url());
  LoadOptions options;
  options.streams = 8;
  options.seconds = 5;
  options.distinct = 8;
  options.max_tokens = 24;
  options.disconnect = 0.2;
  options.verify = true;
  const LoadReport report = run_load(target, options);
  EXPECT_TRUE(report.passed()) << load_table(report);
  EXPECT_GE(report.verified, 8);
}

}  // namespace
}  // namespace weir
