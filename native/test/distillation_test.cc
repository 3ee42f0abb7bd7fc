// Distillation against float64 and central differences.
#include <algorithm>
#include <numeric>

#include "test/gemm_reference.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class DistillationTest : public KernelTest {};

constexpr int64_t kWidth = 24, kTeacherWidth = 40;
constexpr double kSmoothing = 0.1f;  // rounded like the call's float32 argument

// Every third target is -1.
Tensor some_targets(int64_t rows, int64_t classes) {
  Tensor targets(MOE_INT32, {rows});
  for (int64_t i = 0; i < rows; ++i) targets.set(i, i % 3 == 2 ? -1 : static_cast<double>(i * 7919 % classes));
  return targets;
}

// Inputs, outputs and gradients of a call.
struct Student {
  Tensor hidden, weights, targets, teacher_hidden, teacher_weights, losses, divergences, dhidden, dweights;
  float temperature = 2, weight = 3, dloss = 0.5f;
  float cap = 0, teacher_cap = 0;  // soft caps of logits
  bool given = false;              // teacher_hidden is the teacher's logits

  Student(moe_dtype dtype, int64_t rows, int64_t classes)
      : hidden(Tensor::random(dtype, {rows, kWidth}, 1)),
        weights(Tensor::random(dtype, {classes, kWidth}, 2)),
        targets(some_targets(rows, classes)),
        teacher_hidden(Tensor::random(dtype, {rows, kTeacherWidth}, 3)),
        teacher_weights(Tensor::random(dtype, {classes, kTeacherWidth}, 4)),
        losses(MOE_FLOAT32, {rows}),
        divergences(MOE_FLOAT32, {rows}),
        dhidden(dtype, {rows, kWidth}),
        dweights(MOE_FLOAT32, {classes, kWidth}) {
    dweights.fill(0.5);  // the gradient is added to it
  }
  int64_t rows() const { return targets.count(); }
  int64_t classes() const { return weights.view().shape[0]; }
  void give(Tensor logits) {
    teacher_hidden = std::move(logits);
    given = true;
  }
  moe_status run(moe_stream stream, bool gradients = true) const {
    const moe_tensor* matrix = teacher_weights;
    return moe_linear_distillation(
        stream, tokens_of(kSmoothing, dloss, targets, losses, cap),
        teacher_of(temperature, weight, teacher_hidden, given ? nullptr : matrix, divergences, teacher_cap), hidden,
        weights, gradients ? &dhidden.view() : nullptr, gradients ? &dweights.view() : nullptr);
  }
};

// log softmax(x / T) of each row.
std::vector<double> log_softmax(std::vector<double> x, int64_t classes, double temperature) {
  for (double& value : x) value /= temperature;
  for (auto row = x.begin(); row != x.end(); row += classes) {
    const double peak = *std::max_element(row, row + classes);
    const double sum =
        std::accumulate(row, row + classes, 0.0, [&](double a, double b) { return a + std::exp(b - peak); });
    for (int64_t v = 0; v < classes; ++v) row[v] -= peak + std::log(sum);
  }
  return x;
}

std::vector<double> product(const Tensor& hidden, const Tensor& weights) {
  const int64_t rows = hidden.view().shape[0], width = hidden.view().shape[1], classes = weights.view().shape[0];
  std::vector<double> logits(static_cast<size_t>(rows * classes));
  for (int64_t i = 0; i < rows * classes; ++i) {
    for (int64_t c = 0; c < width; ++c) logits[i] += hidden[i / classes * width + c] * weights[i % classes * width + c];
  }
  return logits;
}

// A call's results in float64, and the tolerance of gradients: with bfloat16 the gradient of the logits is rounded by
// 2^-8 of itself, or 2^-16 if it is a sum of two numbers on tensor cores.
struct Expected {
  std::vector<double> losses, divergences, dhidden, dweights, hidden_slack, weights_slack;

  explicit Expected(const Student& c)
      : losses(static_cast<size_t>(c.rows())),
        divergences(losses.size()),
        dhidden(static_cast<size_t>(c.rows() * kWidth)),
        dweights(static_cast<size_t>(c.classes() * kWidth), 0.5),
        hidden_slack(dhidden.size(), 4e-6),
        // A float32 sum over the rows, whose error grows with them.
        weights_slack(dweights.size(), std::max(1e-5, 4e-8 * static_cast<double>(c.rows()))) {
    const int64_t classes = c.classes();
    const double rounded = c.hidden.view().dtype == MOE_FLOAT32 ? 0 : on_cpu() ? 0x1p-8 : 0x1p-16;
    std::vector<double> s = product(c.hidden, c.weights);
    std::vector<double> t = c.given ? values_of(c.teacher_hidden) : product(c.teacher_hidden, c.teacher_weights);
    for (double& x : s) x = c.cap > 0 ? c.cap * std::tanh(x / c.cap) : x;
    for (double& x : t) x = c.teacher_cap > 0 ? c.teacher_cap * std::tanh(x / c.teacher_cap) : x;
    const std::vector<double> log_s = log_softmax(s, classes, 1), log_p = log_softmax(t, classes, c.temperature);
    const std::vector<double> log_q = log_softmax(s, classes, c.temperature);
    for (int64_t i = 0; i < std::ssize(s); ++i) {
      const int64_t row = i / classes, v = i % classes;
      if (c.targets[row] < 0) continue;
      const double wanted = kSmoothing / static_cast<double>(classes) + (v == c.targets[row] ? 1 - kSmoothing : 0);
      const double p = std::exp(log_p[i]), q = std::exp(log_q[i]);
      losses[row] -= wanted * log_s[i];
      if (p > 0) divergences[row] += p * (log_p[i] - log_q[i]);
      const double slope = c.cap > 0 ? 1 - std::pow(s[i] / c.cap, 2) : 1;
      const double dlogit = slope * c.dloss * (std::exp(log_s[i]) - wanted + c.weight * (q - p) / c.temperature);
      for (int64_t k = 0; k < kWidth; ++k) {
        const double to_hidden = dlogit * c.weights[v * kWidth + k], to_weights = dlogit * c.hidden[row * kWidth + k];
        dhidden[row * kWidth + k] += to_hidden;
        dweights[v * kWidth + k] += to_weights;
        hidden_slack[row * kWidth + k] += rounded * std::abs(to_hidden);
        weights_slack[v * kWidth + k] += rounded * std::abs(to_weights);
      }
    }
  }
};

void expect_agrees(const Student& c) {
  const Expected expected(c);
  expect_near(c.losses, expected.losses, 5e-6, 1e-6, "losses");
  expect_near(c.divergences, expected.divergences, 5e-6, 2e-6, "divergences");
  expect_near(c.dhidden, expected.dhidden, expected.hidden_slack, c.hidden.view().dtype == MOE_FLOAT32 ? 1e-5 : 4e-3,
              "dhidden");
  expect_near(c.dweights, expected.dweights, expected.weights_slack, 1e-5, "dweights");
}

TEST_F(DistillationTest, AgreesWithFloat64) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t classes : {1, 2, 7, 8, 1003}) {
      for (int64_t rows : {0, 1, 5, 67}) {
        for (float temperature : {0.5f, 1.0f, 4.0f}) {
          Student c(dtype, rows, classes);
          c.temperature = temperature, c.weight = temperature * temperature;
          ASSERT_MOE_OK(c.run(stream));
          expect_agrees(c);
          const std::vector<uint8_t> losses = c.losses.bits(), divergences = c.divergences.bits();
          ASSERT_MOE_OK(c.run(stream, false));
          EXPECT_EQ(c.losses.bits(), losses);
          EXPECT_EQ(c.divergences.bits(), divergences);
        }
      }
    }
  }
}

TEST_F(DistillationTest, SoftlyCappedLogitsAgreeWithFloat64) {
  for (const auto& [cap, teacher_cap] : {std::pair{2.0f, 0.0f}, {0.0f, 3.0f}, {2.0f, 3.0f}}) {
    Student c(MOE_FLOAT32, 5, 40);
    c.cap = cap, c.teacher_cap = teacher_cap;
    ASSERT_MOE_OK(c.run(stream));
    expect_agrees(c);
  }
}

TEST_F(DistillationTest, ManyRowsAgreeWithFloat64) {
  Student c(MOE_FLOAT32, 2100, 7);  // two blocks of rows on every backend, and five of the teacher's
  ASSERT_MOE_OK(c.run(stream));
  expect_agrees(c);
}

TEST_F(DistillationTest, GivenLogitsAgreeWithFloat64) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t classes : {7, 1000}) {
      Student c(MOE_FLOAT32, 600, classes);
      c.give(Tensor::random(dtype, {600, classes}, 5, -8, 8));
      const std::vector<uint8_t> logits = c.teacher_hidden.bits();
      ASSERT_MOE_OK(c.run(stream));
      expect_agrees(c);
      EXPECT_EQ(c.teacher_hidden.bits(), logits);
    }
  }
}

TEST_F(DistillationTest, GradientsAreTheDerivatives) {
  for (float temperature : emulated() ? std::vector{0.5f} : std::vector{0.5f, 1.0f, 4.0f}) {
    Student c(MOE_FLOAT32, 4, 9);
    c.temperature = temperature, c.weight = 2, c.dloss = 1;
    c.dweights.fill(0);
    ASSERT_MOE_OK(c.run(single));
    const std::vector<double> dhidden = values_of(c.dhidden), dweights = values_of(c.dweights);
    const auto loss = [&] {
      EXPECT_MOE_OK(c.run(single, false));
      double sum = 0;
      for (int64_t i = 0; i < 4; ++i) sum += c.losses[i] + c.weight * c.divergences[i];
      return sum;
    };
    expect_gradient(c.hidden, dhidden, loss, 1e-2, 5e-4, 2e-3, "hidden");
    expect_gradient(c.weights, dweights, loss, 1e-2, 5e-4, 2e-3, "weights");
  }
}

TEST_F(DistillationTest, WithoutWeightItIsTheCrossEntropyBitByBit) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (const auto& [rows, classes] : {std::pair<int64_t, int64_t>{70, 1003}, {2100, 7}}) {
      Student c(dtype, rows, classes), plain(dtype, rows, classes);
      c.weight = 0;
      ASSERT_MOE_OK(c.run(stream));
      ASSERT_MOE_OK(moe_linear_cross_entropy(stream, tokens_of(kSmoothing, c.dloss, plain.targets, plain.losses),
                                             plain.hidden, plain.weights, plain.dhidden, plain.dweights));
      expect_same_bits(plain.losses, c.losses, "losses");
      expect_same_bits(plain.dhidden, c.dhidden, "dhidden");
      expect_same_bits(plain.dweights, c.dweights, "dweights");
    }
  }
}

TEST_F(DistillationTest, BitsDependOnThreadsNowhere) {
  // Enough classes for blocks of 64 rows on the CPU; on backends without threads fewer.
  for (const auto& [rows, classes] : {std::pair<int64_t, int64_t>{70, on_cpu() ? 100000 : 1000}, {2100, 7}}) {
    Student c(MOE_FLOAT32, rows, classes);
    ASSERT_MOE_OK(c.run(single));
    const auto divergences = c.divergences.bits(), dhidden = c.dhidden.bits(), dweights = c.dweights.bits();
    for (moe_stream other : streams()) {
      c.dweights.fill(0.5);
      ASSERT_MOE_OK(c.run(other));
      EXPECT_EQ(divergences, c.divergences.bits());
      EXPECT_EQ(dhidden, c.dhidden.bits());
      EXPECT_EQ(dweights, c.dweights.bits());
    }
  }
}

TEST_F(DistillationTest, OfItselfATeacherHasNoDivergence) {
  Student c(MOE_FLOAT32, 3, 517);
  const std::vector<double> logits = product(c.hidden, c.weights);
  c.give(Tensor::of(MOE_FLOAT32, {3, 517}, logits));
  ASSERT_MOE_OK(c.run(stream));
  expect_near(c.divergences, {0, 0, 0}, 2e-6, 0, "divergences");
}

TEST_F(DistillationTest, TeachersMayRuleClassesOut) {
  Student c(MOE_FLOAT32, 2, 3);
  c.give(Tensor::of(MOE_FLOAT32, {2, 3}, {0, -INFINITY, 1, -INFINITY, -INFINITY, 1e30}));
  ASSERT_MOE_OK(c.run(stream));
  expect_agrees(c);
}

TEST_F(DistillationTest, NotANumberIsNotHidden) {
  for (double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    for (int64_t v : {0, 6}) {
      Student c(MOE_FLOAT32, 4, 7);
      Tensor logits = Tensor::random(MOE_FLOAT32, {4, 7}, 5);
      logits.set(7 + v, bad);   // of token 1
      logits.set(14 + v, bad);  // of token 2, which does not count
      c.give(std::move(logits));
      ASSERT_MOE_OK(c.run(stream));
      EXPECT_TRUE(std::isnan(c.divergences[1]));
      for (int64_t row : {0, 2, 3}) EXPECT_TRUE(std::isfinite(c.divergences[row])) << row;
      for (int64_t i = 0; i < 2 * kWidth; ++i) EXPECT_EQ(std::isnan(c.dhidden[i]), i >= kWidth) << i;
    }
  }
}

TEST_F(DistillationTest, PackedTeacherWeightsGiveTheSameBits) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Student plain(dtype, 70, 45), other(dtype, 70, 45);
    ASSERT_MOE_OK(plain.run(stream));
    other.teacher_weights = packed(device, stream, other.teacher_weights, dtype);
    ASSERT_MOE_OK(other.run(stream));
    expect_same_bits(plain.divergences, other.divergences, "divergences");
    expect_same_bits(plain.dhidden, other.dhidden, "dhidden");
  }
}

TEST_F(DistillationTest, RefusesWhatDoesNotFit) {
  const auto refuses = [&](const char* sentence, const std::function<void(Student&)>& spoil) {
    Student c(MOE_FLOAT32, 4, 9);
    spoil(c);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, sentence, c.run(stream));
  };
  refuses("temperature is 0, expected more than 0", [](Student& c) { c.temperature = 0; });
  refuses("temperature is -1", [](Student& c) { c.temperature = -1; });
  refuses("temperature is nan", [](Student& c) { c.temperature = NAN; });
  refuses("temperature is inf", [](Student& c) { c.temperature = INFINITY; });
  refuses("temperature is 9.99995e-41", [](Student& c) { c.temperature = 1e-40f; });
  refuses("weight is -1, expected a finite number", [](Student& c) { c.weight = -1; });
  refuses("weight is inf", [](Student& c) { c.weight = INFINITY; });
  refuses("teacher's hidden has shape [4, 8], expected [4, 9]",
          [](Student& c) { c.give(Tensor(MOE_FLOAT32, {4, 8})); });
  refuses("teacher's hidden has shape [3, 40], expected [4, any]",
          [](Student& c) { c.teacher_hidden = Tensor(MOE_FLOAT32, {3, 40}); });
  refuses("teacher's weights has shape [8, 40], expected [9, 40]",
          [](Student& c) { c.teacher_weights = Tensor(MOE_FLOAT32, {8, 40}); });
  refuses("divergences has shape [3], expected [4]", [](Student& c) { c.divergences = Tensor(MOE_FLOAT32, {3}); });
  refuses("targets[3] is 9", [](Student& c) { c.targets.set(3, 9); });
  const Student c(MOE_FLOAT32, 4, 9);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "teacher is null",
                     moe_linear_distillation(stream, tokens_of(0, 1, c.targets, c.losses), nullptr, c.hidden, c.weights,
                                             nullptr, nullptr));
  moe_teacher older = teacher_of(1, 1, c.teacher_hidden, c.teacher_weights, c.divergences);
  older.struct_size = 4;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "teacher has struct_size 4",
                     moe_linear_distillation(stream, tokens_of(0, 1, c.targets, c.losses), &older, c.hidden, c.weights,
                                             nullptr, nullptr));
}

}  // namespace
}  // namespace moe::testing
