// Cross-entropy, alone and fused with the logits, against float64 and central differences.
#include <algorithm>

#include "test/gemm_reference.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class LossTest : public KernelTest {};

// Losses and gradients of dloss * sum(losses) in float64; logits [S, V].
struct Reference {
  std::vector<double> losses, dlogits;
};

Reference reference(const std::vector<double>& logits, const Tensor& targets, int64_t classes, double smoothing,
                    double dloss) {
  Reference result{std::vector<double>(static_cast<size_t>(targets.count())), std::vector<double>(logits.size())};
  for (int64_t row = 0; row < targets.count(); ++row) {
    const auto target = static_cast<int64_t>(targets[row]);
    if (target < 0) continue;
    const double* x = logits.data() + row * classes;
    const double peak = *std::max_element(x, x + classes);
    double sum = 0;
    for (int64_t v = 0; v < classes; ++v) sum += std::exp(x[v] - peak);
    for (int64_t v = 0; v < classes; ++v) {
      const double wanted = smoothing / static_cast<double>(classes) + (v == target ? 1 - smoothing : 0);
      const double log_probability = x[v] - peak - std::log(sum);
      result.losses[row] -= wanted * log_probability;
      result.dlogits[row * classes + v] = dloss * (std::exp(log_probability) - wanted);
    }
  }
  return result;
}

// Every third target is -1.
Tensor some_targets(int64_t rows, int64_t classes) {
  Tensor targets(MOE_INT32, {rows});
  for (int64_t i = 0; i < rows; ++i) targets.set(i, i % 3 == 2 ? -1 : static_cast<double>(i * 7919 % classes));
  return targets;
}

TEST_F(LossTest, CrossEntropyAgreesWithFloat64) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t classes : {1, 2, 7, 8, 1000}) {
      for (double smoothing : {0.0, 0.1, 1.0}) {
        for (int64_t rows : {0, 1, 40}) {
          const Tensor logits = Tensor::random(dtype, {rows, classes}, 1, -8, 8), dlogits(dtype, {rows, classes});
          const Tensor targets = some_targets(rows, classes), losses(MOE_FLOAT32, {rows}), again(MOE_FLOAT32, {rows});
          const auto a = static_cast<float>(smoothing);
          ASSERT_MOE_OK(moe_cross_entropy(stream, tokens_of(a, 0.25f, targets, losses), logits, dlogits));
          const Reference expected = reference(values_of(logits), targets, classes, a, 0.25);
          expect_near(losses, expected.losses, 3e-6, 1e-6, "losses");
          expect_near(dlogits, expected.dlogits, 1e-7, dtype == MOE_FLOAT32 ? 2e-6 : 4e-3, "dlogits");
          ASSERT_MOE_OK(moe_cross_entropy(single, tokens_of(a, 0.25f, targets, again), logits, nullptr));
          expect_same_bits(losses, again, "losses alone");
          ASSERT_MOE_OK(moe_cross_entropy(triple, tokens_of(a, 0.25f, targets, again), logits, logits));
          expect_same_bits(losses, again, "losses in place");
          expect_same_bits(dlogits, logits, "dlogits in place");
        }
      }
    }
  }
}

TEST_F(LossTest, CrossEntropyOfManyClassesAgreesWithFloat64) {
  moe_device_info info{};
  info.struct_size = sizeof(info);
  ASSERT_MOE_OK(moe_device_describe(device, &info));
  const int lanes = on_cpu() ? info.vector_bytes / int{sizeof(float)} : 512;  // or threads of a block
  for (int64_t classes : {5003, 262144}) {
    const Tensor logits = Tensor::random(MOE_FLOAT32, {3, classes}, 1, -8, 8), dlogits(MOE_FLOAT32, {3, classes});
    const Tensor targets = Tensor::of(MOE_INT32, {3}, {0, static_cast<double>(classes - 1), -1});
    const Tensor losses(MOE_FLOAT32, {3});
    ASSERT_MOE_OK(moe_cross_entropy(stream, tokens_of(0.1f, 2, targets, losses), logits, dlogits));
    const Reference expected = reference(values_of(logits), targets, classes, 0.1f, 2);
    // A lane's float32 sum is off by 2^-24 for each of its terms at most, and by less than 2^-30 here.
    const double terms = static_cast<double>(classes) / lanes;
    expect_near(losses, expected.losses, 2e-6 + 0x1p-30 * terms, 1e-6, "losses");
    expect_near(dlogits, expected.dlogits, 1e-8, 1e-5, "dlogits");
  }
}

TEST_F(LossTest, CrossEntropyStandsExtremeLogits) {
  const Tensor logits = Tensor::of(MOE_FLOAT32, {3, 3}, {1e30, -1e30, 0, -INFINITY, 3, 3, 200, 100, -INFINITY});
  const Tensor targets = Tensor::of(MOE_INT32, {3}, {0, 1, 1}), losses(MOE_FLOAT32, {3}), dlogits(MOE_FLOAT32, {3, 3});
  ASSERT_MOE_OK(moe_cross_entropy(stream, tokens_of(0, 1, targets, losses), logits, dlogits));
  expect_near(losses, {0, std::log(2.0), 100}, 1e-6, 1e-6, "losses");
  expect_near(dlogits, {0, 0, 0, 0, -0.5, 0.5, 1, -1, 0}, 1e-6, 0, "dlogits");
}

TEST_F(LossTest, NotANumberIsNotHidden) {
  const Tensor logits = Tensor::of(MOE_FLOAT32, {2, 3}, {0, NAN, 1, 0, 1, 2}), losses(MOE_FLOAT32, {2});
  ASSERT_MOE_OK(
      moe_cross_entropy(stream, tokens_of(0, 1, Tensor::of(MOE_INT32, {2}, {0, 0}), losses), logits, nullptr));
  EXPECT_TRUE(std::isnan(losses[0]));
  EXPECT_FALSE(std::isnan(losses[1]));
}

TEST_F(LossTest, CrossEntropyGradientIsTheDerivative) {
  for (float smoothing : {0.0f, 0.2f}) {
    Tensor logits = Tensor::random(MOE_FLOAT32, {5, 7}, 4, -2, 2);
    const Tensor targets = some_targets(5, 7), losses(MOE_FLOAT32, {5}), dlogits(MOE_FLOAT32, {5, 7});
    const auto loss = [&] {
      EXPECT_MOE_OK(moe_cross_entropy(single, tokens_of(smoothing, 1, targets, losses), logits, dlogits));
      double sum = 0;
      for (int64_t i = 0; i < 5; ++i) sum += losses[i];
      return sum;
    };
    loss();
    expect_gradient(logits, values_of(dlogits), loss, 1e-2, 2e-4, 1e-3, "logits");
  }
}

// Inputs, outputs and gradients of a fused call.
struct Head {
  Tensor hidden, weights, targets, losses, dhidden, dweights;

  Head(moe_dtype dtype, int64_t rows, int64_t width, int64_t classes)
      : hidden(Tensor::random(dtype, {rows, width}, 1)),
        weights(Tensor::random(dtype, {classes, width}, 2)),
        targets(some_targets(rows, classes)),
        losses(MOE_FLOAT32, {rows}),
        dhidden(dtype, {rows, width}),
        dweights(MOE_FLOAT32, {classes, width}) {
    dweights.fill(0.5);  // the gradient is added to it
  }
  moe_status run(moe_stream stream, float smoothing, float dloss) {
    return moe_linear_cross_entropy(stream, tokens_of(smoothing, dloss, targets, losses), hidden, weights, dhidden,
                                    dweights);
  }
};

TEST_F(LossTest, LinearCrossEntropyAgreesWithFloat64) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t classes : {1, 2, 7, 1000}) {
      for (int64_t rows : {0, 1, 5, 67, classes == 7 ? 2100 : 2}) {  // 2100 are two blocks of rows on every backend
        const int64_t width = 24;
        Head head(dtype, rows, width, classes);
        ASSERT_MOE_OK(head.run(stream, 0.1f, 0.5f));
        std::vector<double> logits(static_cast<size_t>(rows * classes));
        std::vector<double> dhidden(static_cast<size_t>(rows * width));
        std::vector<double> dweights(static_cast<size_t>(classes * width), 0.5);
        // With bfloat16 the gradient of the logits is rounded, by 2^-8 of itself, or 2^-16 where it is a sum of two
        // numbers on tensor cores: each term of its sums may be off by that.
        const double rounded = dtype == MOE_FLOAT32 ? 0 : on_cpu() ? 0x1p-8 : 0x1p-16;
        std::vector<double> hidden_slack(dhidden.size(), 2e-6);
        // A float32 sum over the rows, whose error grows with them.
        std::vector<double> weights_slack(dweights.size(), std::max(5e-6, 1e-8 * static_cast<double>(rows)));
        for (int64_t i = 0; i < rows * classes; ++i) {
          for (int64_t c = 0; c < width; ++c) {
            logits[i] += head.hidden[i / classes * width + c] * head.weights[i % classes * width + c];
          }
        }
        const Reference expected = reference(logits, head.targets, classes, 0.1f, 0.5);
        for (int64_t i = 0; i < rows * classes; ++i) {
          for (int64_t c = 0; c < width; ++c) {
            const int64_t of_hidden = i / classes * width + c, of_weights = i % classes * width + c;
            const double to_hidden = expected.dlogits[i] * head.weights[of_weights];
            const double to_weights = expected.dlogits[i] * head.hidden[of_hidden];
            dhidden[of_hidden] += to_hidden;
            dweights[of_weights] += to_weights;
            hidden_slack[of_hidden] += rounded * std::abs(to_hidden);
            weights_slack[of_weights] += rounded * std::abs(to_weights);
          }
        }
        expect_near(head.losses, expected.losses, 5e-6, 1e-6, "losses");
        expect_near(head.dhidden, dhidden, hidden_slack, dtype == MOE_FLOAT32 ? 1e-5 : 4e-3, "dhidden");
        expect_near(head.dweights, dweights, weights_slack, 1e-5, "dweights");
        const Tensor losses(MOE_FLOAT32, {rows});
        ASSERT_MOE_OK(moe_linear_cross_entropy(stream, tokens_of(0.1f, 0.5f, head.targets, losses), head.hidden,
                                               head.weights, nullptr, nullptr));
        expect_same_bits(losses, head.losses, "losses in evaluation");
      }
    }
  }
}

TEST_F(LossTest, LinearCrossEntropyGradientIsTheDerivative) {
  Head head(MOE_FLOAT32, 4, 6, 9);
  head.dweights.fill(0);
  ASSERT_MOE_OK(head.run(single, 0.1f, 1));
  const auto loss = [&] {
    EXPECT_MOE_OK(moe_linear_cross_entropy(single, tokens_of(0.1f, 1, head.targets, head.losses), head.hidden,
                                           head.weights, nullptr, nullptr));
    double sum = 0;
    for (int64_t i = 0; i < 4; ++i) sum += head.losses[i];
    return sum;
  };
  const std::vector<double> dhidden = values_of(head.dhidden), dweights = values_of(head.dweights);
  expect_gradient(head.hidden, dhidden, loss, 1e-2, 2e-4, 1e-3, "hidden");
  expect_gradient(head.weights, dweights, loss, 1e-2, 2e-4, 1e-3, "weights");
}

// Uncapped logits reach 4.
TEST_F(LossTest, LinearCrossEntropyCapsLogits) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Head head(dtype, 6, 40, 50);
    head.dweights.fill(0);
    ASSERT_MOE_OK(moe_linear_cross_entropy(single, tokens_of(0.1f, 1, head.targets, head.losses, 2), head.hidden,
                                           head.weights, head.dhidden, head.dweights));
    std::vector<double> logits, slopes;
    for (int64_t i = 0; i < 6 * 50; ++i) {
      double x = 0;
      for (int64_t c = 0; c < 40; ++c) x += head.hidden[i / 50 * 40 + c] * head.weights[i % 50 * 40 + c];
      logits.push_back(2 * std::tanh(x / 2));
      slopes.push_back(1 - std::pow(std::tanh(x / 2), 2));
    }
    const Reference expected = reference(logits, head.targets, 50, 0.1f, 1);
    std::vector<double> dhidden(6 * 40), dweights(50 * 40);
    for (int64_t i = 0; i < 6 * 50; ++i) {
      for (int64_t c = 0; c < 40; ++c) {
        dhidden[i / 50 * 40 + c] += expected.dlogits[i] * slopes[i] * head.weights[i % 50 * 40 + c];
        dweights[i % 50 * 40 + c] += expected.dlogits[i] * slopes[i] * head.hidden[i / 50 * 40 + c];
      }
    }
    expect_near(head.losses, expected.losses, 5e-6, 1e-6, "losses");
    expect_near(head.dhidden, dhidden, dtype == MOE_FLOAT32 ? 5e-6 : 1e-2, dtype == MOE_FLOAT32 ? 1e-5 : 4e-3,
                "dhidden");
    expect_near(head.dweights, dweights, dtype == MOE_FLOAT32 ? 5e-6 : 1e-2, 1e-5, "dweights");
  }
  Head head(MOE_FLOAT32, 1, 4, 5);
  for (float cap : {-1.0f, INFINITY, NAN}) {
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logit_cap is ",
                       moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, head.losses, cap), head.hidden,
                                                head.weights, nullptr, nullptr));
  }
}

TEST_F(LossTest, LinearCrossEntropyBitsDependOnThreadsNowhere) {
  // Enough classes for blocks of 64 rows on the CPU; on backends without threads fewer, with 2100 rows in two blocks.
  for (const auto& [rows, classes] : {std::pair<int64_t, int64_t>{70, on_cpu() ? 100000 : 10000}, {2100, 7}}) {
    Head head(MOE_FLOAT32, rows, 8, classes);
    ASSERT_MOE_OK(head.run(single, 0, 1));
    const auto losses = head.losses.bits(), dhidden = head.dhidden.bits(), dweights = head.dweights.bits();
    for (moe_stream other : streams()) {
      head.dweights.fill(0.5);
      ASSERT_MOE_OK(head.run(other, 0, 1));
      EXPECT_EQ(losses, head.losses.bits());
      EXPECT_EQ(dhidden, head.dhidden.bits());
      EXPECT_EQ(dweights, head.dweights.bits());
    }
  }
}

TEST_F(LossTest, ATokensBitsDoNotDependOnTheOthers) {
  Head batch(MOE_FLOAT32, 14, 32, 500), alone(MOE_FLOAT32, 1, 32, 500);
  ASSERT_MOE_OK(batch.run(stream, 0, 1));
  for (int64_t row = 0; row < 14; ++row) {
    for (int64_t c = 0; c < 32; ++c) alone.hidden.set(c, batch.hidden[row * 32 + c]);
    alone.targets.set(0, batch.targets[row]);
    ASSERT_MOE_OK(alone.run(triple, 0, 1));
    EXPECT_EQ(alone.losses[0], batch.losses[row]);
    for (int64_t c = 0; c < 32; ++c) EXPECT_EQ(alone.dhidden[c], batch.dhidden[row * 32 + c]);
  }
}

TEST_F(LossTest, FrozenWeightsMayBePackedAndGiveTheSameBits) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Head head(dtype, 70, 32, 45);
    const Tensor losses(MOE_FLOAT32, {70}), dhidden(dtype, {70, 32});
    const Tensor operand = packed(device, stream, head.weights, dtype);
    ASSERT_MOE_OK(head.run(stream, 0, 1));
    ASSERT_MOE_OK(moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, losses), head.hidden, operand, nullptr,
                                           nullptr));
    expect_same_bits(head.losses, losses, "losses");
    for (const Tensor* frozen : std::initializer_list<const Tensor*>{&operand, &head.weights}) {
      ASSERT_MOE_OK(moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, losses), head.hidden, *frozen,
                                             dhidden, nullptr));
      expect_same_bits(head.losses, losses, "losses with a gradient");
      expect_same_bits(head.dhidden, dhidden, "dhidden");
    }
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "weights is packed",
                       moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, losses), head.hidden, operand,
                                                head.dhidden, head.dweights));
  }
}

TEST_F(LossTest, RefusesWhatDoesNotFit) {
  Head head(MOE_FLOAT32, 4, 6, 9);
  const Tensor logits(MOE_FLOAT32, {4, 9}), none(MOE_FLOAT32, {4, 0});
  const auto alone = [&](const moe_tensor* x, const moe_tensor* targets, float smoothing, const moe_tensor* dlogits) {
    return moe_cross_entropy(stream, tokens_of(smoothing, 1, targets, head.losses), x, dlogits);
  };
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "targets[2] is 9, expected -1 to 8",
                     alone(logits, Tensor::of(MOE_INT32, {4}, {0, -1, 9, 0}), 0, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "targets[0] is -2",
                     alone(logits, Tensor::of(MOE_INT32, {4}, {-2, -1, 8, 0}), 0, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "label_smoothing is 1.5", alone(logits, head.targets, 1.5f, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "label_smoothing is nan", alone(logits, head.targets, NAN, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "0 classes", alone(none, head.targets, 0, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "targets has shape [4], expected [3]",
                     alone(Tensor(MOE_FLOAT32, {3, 9}), head.targets, 0, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dlogits has shape", alone(logits, head.targets, 0, none));

  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dloss is inf", head.run(stream, 0, INFINITY));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dhidden is null, but dweights is given",
                     moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, head.losses), head.hidden,
                                              head.weights, nullptr, head.dweights));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dhidden and hidden share memory",
                     moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, head.losses), head.hidden,
                                              head.weights, head.hidden, head.dweights));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "weights has shape [4, 9], expected [any, 6]",
                     moe_linear_cross_entropy(stream, tokens_of(0, 1, head.targets, head.losses), head.hidden, logits,
                                              nullptr, nullptr));
  head.targets.set(3, 9);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "targets[3] is 9", head.run(stream, 0, 1));
}

}  // namespace
}  // namespace moe::testing
