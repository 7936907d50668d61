// decoding/softmax.h against double arithmetic of the C library, at odd sizes and edges.
#include "decoding/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"

namespace weir {
namespace {

std::vector<float> random_logits(size_t n, float spread) {
  std::mt19937 engine(static_cast<uint32_t>(n));
  std::vector<float> result(n);
  for (float& v : result) {
    v = (static_cast<float>(engine()) * 0x1p-32f - 0.5f) * spread;
  }
  return result;
}

TEST(Softmax, MassesAreExponentials) {
  for (const float temperature : {1.0f, 0.3f, 2.5f}) {
    for (size_t n = 0; n < 40; ++n) {
      const auto logits = random_logits(n, 50);
      const float top = largest(logits);
      std::vector<uint64_t> got(n);
      masses(logits, top, temperature, got);
      for (size_t i = 0; i < n; ++i) {
        const double x = (static_cast<double>(logits[i]) - top) / temperature;
        const double exact = std::exp(x) * kMassOne;
        EXPECT_NEAR(static_cast<double>(got[i]), exact, exact * (3e-7 - 1.2e-7 * x) + 0.5)
            << x << " at " << i;
      }
    }
  }
}

TEST(Softmax, WholeExponentRange) {
  std::vector<float> logits;
  for (int i = 0; i <= 40000; ++i) logits.push_back(-static_cast<float>(i) * 0.001f);
  std::vector<uint64_t> got(logits.size());
  masses(logits, 0, 1, got);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double exact = std::exp(static_cast<double>(logits[i])) * kMassOne;
    ASSERT_NEAR(static_cast<double>(got[i]), exact, exact * 3e-7 + 0.5) << logits[i];
    ASSERT_LE(got[i], got[i == 0 ? 0 : i - 1]) << logits[i];
  }
  EXPECT_EQ(got[0], static_cast<uint64_t>(kMassOne));
}

TEST(Softmax, ExtremesHaveNoMass) {
  const std::vector<float> logits = {3e38f, -3e38f, -std::numeric_limits<float>::infinity(), 0, 1};
  std::vector<uint64_t> got(logits.size());
  masses(logits, 3e38f, 1e-30f, got);
  EXPECT_EQ(got, (std::vector<uint64_t>{static_cast<uint64_t>(kMassOne), 0, 0, 0, 0}));
  EXPECT_EQ(total_mass(logits, 3e38f), static_cast<uint64_t>(kMassOne));
}

TEST(Softmax, LargestAtEveryPlace) {
  EXPECT_EQ(largest({}), -std::numeric_limits<float>::infinity());
  for (size_t n = 1; n < 12; ++n) {
    for (size_t i = 0; i < n; ++i) {
      std::vector<float> logits(n, -5);
      logits[i] = -2;
      EXPECT_EQ(largest(logits), -2);
    }
  }
}

// reliability D9: a NaN or infinity at any place is found and named.
TEST(Softmax, NonFiniteIsNumericError) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::nanf(""),
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (size_t n = 1; n < 12; ++n) {
      for (size_t i = 0; i < n; ++i) {
        std::vector<float> logits(n, std::numeric_limits<float>::lowest());
        EXPECT_NO_THROW(check_finite(logits));
        logits[i] = bad;
        try {
          check_finite(logits);
          FAIL() << bad << " at " << i << " of " << n;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::numeric);
          EXPECT_NE(std::string(error.what()).find("token " + std::to_string(i)),
                    std::string::npos);
        }
      }
    }
  }
}

}  // namespace
}  // namespace weir
