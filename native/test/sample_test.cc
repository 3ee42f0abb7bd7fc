// Samples against a sorted list in float64, and their distribution.
#include <numeric>

#include "test/emulation.h"
#include "test/structs.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

struct Settings {
  double temperature = 1, min_p = 0, top_p = 1;
  int top_k = 0;
  double uniform = 0.5;
};

// The arguments of a call: rows of logits, and the settings of each row.
struct Samples {
  Samples(int64_t rows, int64_t classes)
      : logits(MOE_FLOAT32, {rows, classes}),
        temperature(MOE_FLOAT32, {rows}),
        min_p(MOE_FLOAT32, {rows}),
        top_k(MOE_INT32, {rows}),
        top_p(MOE_FLOAT32, {rows}),
        uniform(MOE_FLOAT64, {rows}),
        tokens(MOE_INT32, {rows}) {
    for (int64_t row = 0; row < rows; ++row) set(row, {});
  }
  void set(int64_t row, const Settings& settings) {
    temperature.set(row, settings.temperature);
    min_p.set(row, settings.min_p);
    top_k.set(row, settings.top_k);
    top_p.set(row, settings.top_p);
    uniform.set(row, settings.uniform);
  }
  Settings of(int64_t row) const {
    return {temperature[row], min_p[row], top_p[row], static_cast<int>(top_k[row]), uniform[row]};
  }
  void set_logits(int64_t row, const std::vector<double>& values) {
    for (size_t i = 0; i < values.size(); ++i)
      logits.set(row * logits.view().shape[1] + static_cast<int64_t>(i), values[i]);
  }
  moe_status run(moe_stream stream) const {
    return moe_sample(stream, sampling(temperature, min_p, top_k, top_p, uniform, tokens), logits);
  }

  Tensor logits, temperature, min_p, top_k, top_p, uniform, tokens;
};

// The cumulative share up to each remaining token, in their order.
std::vector<std::pair<int64_t, double>> shares(const double* logits, int64_t classes, const Settings& settings) {
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  std::vector<std::pair<int64_t, double>> left;
  double sum = 0;
  for (int64_t token : order) {
    const double weight = std::exp((logits[token] - logits[order[0]]) / settings.temperature);
    if (weight < settings.min_p || weight < 0x1p-33) break;
    if (settings.top_k > 0 && left.size() == static_cast<size_t>(settings.top_k)) break;
    left.emplace_back(token, sum += weight);
  }
  while (left.size() > 1 && left[left.size() - 2].second >= settings.top_p * sum) left.pop_back();
  for (auto& [token, part] : left) part /= left.back().second;
  return left;
}

class SampleTest : public KernelTest {
 protected:
  // Logits that are spread, or have few distinct values, or mostly have weight 0.
  static void fill(Samples& samples, uint64_t seed) {
    std::mt19937_64 generator(seed);
    const auto uniform = [&] { return std::uniform_real_distribution<double>()(generator); };
    const int64_t rows = samples.tokens.count(), classes = samples.logits.view().shape[1];
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < classes; ++i) {
        const double logit =
            row % 3 == 0 ? std::floor(4 * uniform()) - 2 : (row % 3 == 1 ? 8 : 200) * (uniform() - 0.5);
        samples.logits.set(row * classes + i, uniform() < 0.05 ? -3.4e38 : logit);
      }
      Settings settings{.temperature = std::exp(2 * uniform() - 1), .uniform = uniform()};
      if (uniform() < 0.5) settings.top_k = 1 + static_cast<int>(uniform() * static_cast<double>(classes + 1));
      if (uniform() < 0.5) settings.top_p = 1 - uniform();
      if (uniform() < 0.5) settings.min_p = uniform() / 2;
      samples.set(row, settings);
    }
  }
};

class EmulatedSampleTest : public SampleTest {};

TEST_F(SampleTest, DrawsWhatASortedListGives) {
  for (int64_t classes : {1, 2, 7, 33, 300, 1000, 20000}) {
    Samples samples(classes == 20000 ? 12 : 60, classes);
    fill(samples, static_cast<uint64_t>(classes));
    ASSERT_MOE_OK(samples.run(stream));
    const std::vector<double> logits = values_of(samples.logits);
    for (int64_t row = 0; row < samples.tokens.count(); ++row) {
      const auto left = shares(logits.data() + row * classes, classes, samples.of(row));
      double before = 0;
      bool found = false;
      for (const auto& [token, part] : left) {
        if (token == samples.tokens[row]) {
          found = true;
          EXPECT_GE(samples.uniform[row], before - 1e-6) << classes << " classes, row " << row;
          EXPECT_LE(samples.uniform[row], part + 1e-6) << classes << " classes, row " << row;
        }
        before = part;
      }
      EXPECT_TRUE(found) << classes << " classes, row " << row << ": token " << samples.tokens[row] << " is left out";
    }
  }
}

// The row is read for its maximum, for sums, and for the tokens in which walks end, whatever the settings are.
TEST_F(EmulatedSampleTest, ReadsARowThreeTimes) {
  auto* loaded = emulation_function<uint64_t()>("simt_bytes_loaded");
  const int64_t classes = 151936;
  Samples samples(1, classes);
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < classes; ++i) samples.logits.set(i, 3 * normal(generator));
  for (const Settings& settings :
       {Settings{}, Settings{.temperature = 2.5, .uniform = 0.99}, Settings{.top_p = 0.9, .top_k = 4000},
        Settings{.temperature = 0.7, .min_p = 0.01, .top_p = 0.95, .top_k = 50, .uniform = 0},
        Settings{.temperature = 0}}) {
    samples.set(0, settings);
    const uint64_t before = loaded();
    ASSERT_MOE_OK(samples.run(stream));
    const uint64_t row = sizeof(float) * static_cast<uint64_t>(classes);
    EXPECT_LE(loaded() - before, settings.temperature == 0 ? 2 * row : 3 * row);
    ASSERT_GE(samples.tokens[0], 0);
  }
}

// A grid of uniform numbers samples each token in proportion to its weight.
TEST_F(SampleTest, SamplesInProportion) {
  const int64_t rows = 500, classes = 50;
  for (const Settings& settings : {Settings{}, Settings{.temperature = 0.5}, Settings{.top_p = 0.7, .top_k = 20},
                                   Settings{.temperature = 3, .min_p = 0.2}}) {
    Samples samples(rows, classes);
    const std::vector<double> logits = values_of(Tensor::random(MOE_FLOAT32, {classes}, 1, -2, 2));
    for (int64_t row = 0; row < rows; ++row) {
      samples.set_logits(row, logits);
      Settings own = settings;
      own.uniform = (static_cast<double>(row) + 0.5) / static_cast<double>(rows);
      samples.set(row, own);
    }
    ASSERT_MOE_OK(samples.run(stream));
    std::vector<double> expected(classes), counts(classes);
    double before = 0;
    for (const auto& [token, part] : shares(logits.data(), classes, samples.of(0))) {
      expected[static_cast<size_t>(token)] = (part - before) * static_cast<double>(rows);
      before = part;
    }
    for (double token : values_of(samples.tokens)) ++counts.at(static_cast<size_t>(token));
    for (size_t token = 0; token < expected.size(); ++token)
      EXPECT_NEAR(counts[token], expected[token], 1.001) << token;
  }
}

// Finds the weight of a second token by bisection: it is sampled from the uniform number where the first one's weight
// ends. All backends and instruction sets with fused multiply-adds have the same bits.
TEST_F(SampleTest, WeightsAreTheSameBitsEverywhere) {
  const int64_t rows = 200;
  Samples samples(rows, 2);
  std::vector<double> low(rows, 0), high(rows, 1);
  for (int64_t row = 0; row < rows; ++row) {
    samples.set_logits(row, {1, 1 - 0.109 * static_cast<double>(row)});
    samples.temperature.set(row, 0.7 + 0.0025 * static_cast<double>(row));
  }
  for (int bit = 0; bit < 44; ++bit) {
    for (int64_t row = 0; row < rows; ++row) {
      samples.uniform.set(row, 0.5 * (low[static_cast<size_t>(row)] + high[static_cast<size_t>(row)]));
    }
    ASSERT_MOE_OK(samples.run(stream));
    for (int64_t row = 0; row < rows; ++row) {
      (samples.tokens[row] == 0 ? low : high)[static_cast<size_t>(row)] = samples.uniform[row];
    }
  }
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (int64_t row = 0; row < rows; ++row) {
    const double weight = std::round(0x1p32 / high[static_cast<size_t>(row)] - 0x1p32);
    const double exact = 0x1p32 * std::exp((samples.logits[2 * row + 1] - 1) / samples.temperature[row]);
    EXPECT_NEAR(weight, exact, 0.6 + 3e-6 * exact) << row;
    hash = (hash ^ static_cast<uint64_t>(weight)) * 1099511628211u;
  }
  moe_device_info info{};
  info.struct_size = sizeof(info);
  ASSERT_MOE_OK(moe_device_describe(device, &info));
  const bool fused = std::string(info.target).compare(0, 2, "SS") != 0;  // SSE2, SSSE3, SSE4 have no fused ones
  if (fused) {
    EXPECT_EQ(hash, 3075958226595677708u);
  }
}

TEST_F(SampleTest, ThreadsAndOtherRowsDoNotMatter) {
  const int64_t rows = 60, classes = 700;
  Samples samples(rows, classes);
  fill(samples, 3);
  ASSERT_MOE_OK(samples.run(single));
  const std::vector<double> expected = values_of(samples.tokens);
  for (moe_stream other : streams()) {
    samples.tokens.fill(-2);
    ASSERT_MOE_OK(samples.run(other));
    EXPECT_EQ(values_of(samples.tokens), expected);
  }
  const std::vector<double> logits = values_of(samples.logits);
  for (int64_t row = 0; row < rows; ++row) {
    Samples alone(1, classes);
    alone.set_logits(0, {logits.begin() + row * classes, logits.begin() + (row + 1) * classes});
    alone.set(0, samples.of(row));
    ASSERT_MOE_OK(alone.run(stream));
    EXPECT_EQ(alone.tokens[0], expected[static_cast<size_t>(row)]) << row;
  }
}

TEST_F(SampleTest, TheFirstOfEqualTokensIsTheLowest) {
  Samples samples(4, 40);
  for (int64_t row = 0; row < 4; ++row) {
    samples.logits.set(row * 40 + 17, row == 3 ? -0.0 : 1);
    samples.logits.set(row * 40 + 33, row == 3 ? 0 : 1);
    samples.set(row, {.temperature = row % 2 == 0 ? 0.0 : 1.0, .top_k = 1, .uniform = 0.999});
  }
  samples.set(2, {.temperature = FLT_MIN, .uniform = 0.75});
  ASSERT_MOE_OK(samples.run(stream));
  EXPECT_EQ(values_of(samples.tokens), (std::vector<double>{17, 17, 33, 0}));
}

// A row with a non-finite logit or a setting out of range has no token.
TEST_F(SampleTest, RowsWithoutAToken) {
  const double infinite = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const std::vector<Settings> wrong = {{.temperature = -1},
                                       {.temperature = nan},
                                       {.temperature = infinite},
                                       {.temperature = FLT_MIN / 2},
                                       {.min_p = -0.1},
                                       {.min_p = nan},
                                       {.top_p = 1.1},
                                       {.top_p = nan},
                                       {.top_k = -1},
                                       {.uniform = 1},
                                       {.uniform = nan},
                                       {.uniform = -0.5}};
  const auto settings = static_cast<int64_t>(wrong.size()), rows = settings + 4;
  Samples samples(rows, 70);
  for (int64_t row = 0; row < settings; ++row) samples.set(row, wrong[static_cast<size_t>(row)]);
  samples.set(settings + 2, {.temperature = 0});
  samples.logits.fill(-3.4e38);
  for (const auto& [row, value] : {std::pair{settings, infinite}, {settings + 1, -infinite}, {settings + 2, nan}}) {
    samples.logits.set(row * 70 + 69, value);
  }
  ASSERT_MOE_OK(samples.run(stream));
  for (int64_t row = 0; row < rows - 1; ++row) EXPECT_EQ(samples.tokens[row], -1) << row;
  EXPECT_EQ(samples.tokens[rows - 1], 35);  // of 70 equal ones, 35 come to no more than a half
}

TEST_F(SampleTest, Refuses) {
  const Samples samples(2, 3), three(3, 3), empty(2, 0), none(0, 3);
  ASSERT_MOE_OK(none.run(stream));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "there are 0 classes, expected 1 to 2097152", empty.run(stream));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "uniform has shape [3], expected [2]",
                     moe_sample(stream,
                                sampling(samples.temperature, samples.min_p, samples.top_k, samples.top_p,
                                         three.uniform, samples.tokens),
                                samples.logits));
}

}  // namespace
}  // namespace moe::testing
