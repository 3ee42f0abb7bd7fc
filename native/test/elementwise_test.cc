// Fill, cast, add, clamp, exponential, activations and random numbers.
#include "test/testing.h"

#include <cfloat>
#include <numbers>

namespace moe::testing {
namespace {

// Sizes around every vector width, and long enough to be split over threads.
const std::vector<int64_t> kSizes = {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 40001};
constexpr moe_dtype kFloatings[] = {MOE_FLOAT32, MOE_BFLOAT16};

double tolerance(moe_dtype dtype) { return dtype == MOE_BFLOAT16 ? 1.0 / 256 : 1e-6; }

double activated_value(int32_t activation, double x) {
  switch (activation) {
    case MOE_RELU: return std::max(x, 0.0);
    case MOE_GELU: return x * (1 + std::erf(x / std::numbers::sqrt2)) / 2;
    case MOE_GELU_TANH: return x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))) / 2;
    case MOE_SILU: return x / (1 + std::exp(-x));
    default: return x;
  }
}

class ElementwiseTest : public KernelTest {};

TEST_F(ElementwiseTest, Fills) {
  for (int64_t size : kSizes) {
    for (moe_dtype dtype : kFloatings) {
      Tensor y(dtype, {size});
      ASSERT_MOE_OK(moe_fill(stream, -1.5f, y));
      expect_near(y, std::vector<double>(static_cast<size_t>(size), -1.5), 0, 0, "y");
    }
  }
}

TEST_F(ElementwiseTest, CastsRoundToNearestEven) {
  for (int64_t size : kSizes) {
    const Tensor x = Tensor::random(MOE_FLOAT32, {size}, 3, -100, 100);
    Tensor half(MOE_BFLOAT16, {size}), back(MOE_FLOAT32, {size});
    ASSERT_MOE_OK(moe_cast(stream, x, half));
    ASSERT_MOE_OK(moe_cast(stream, half, back));
    for (int64_t i = 0; i < size; ++i) {
      ASSERT_EQ(half.data<uint16_t>()[i], to_bfloat16(static_cast<float>(x[i])));
      ASSERT_EQ(back[i], half[i]);
    }
  }
}

TEST_F(ElementwiseTest, CastsSpecialValues) {
  const std::vector<uint32_t> bits = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
                                      0x7f800001, 0xff80ffff, 0x00000001, 0x00008000, 0x00008001,
                                      0x00018000, 0x7f7fffff, 0x3f808000, 0x3f818000};
  const auto size = static_cast<int64_t>(bits.size());
  Tensor x(MOE_FLOAT32, {size}), y(MOE_BFLOAT16, {size});
  std::copy(bits.begin(), bits.end(), x.data<uint32_t>());
  ASSERT_MOE_OK(moe_cast(stream, x, y));
  for (int64_t i = 0; i < size; ++i) {
    const auto value = std::bit_cast<float>(bits[static_cast<size_t>(i)]);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(y[i])) << i;
    } else {
      EXPECT_EQ(y.data<uint16_t>()[i], to_bfloat16(value)) << i;
    }
  }
}

TEST_F(ElementwiseTest, AddsInEveryDtypeAndInPlace) {
  for (int64_t size : kSizes) {
    for (moe_dtype da : kFloatings) {
      for (moe_dtype db : kFloatings) {
        Tensor a = Tensor::random(da, {size}, 1), y(db, {size});
        const Tensor b = Tensor::random(db, {size}, 2);
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) want.push_back(0.5 * a[i] - 2 * b[i]);
        ASSERT_MOE_OK(moe_add(stream, 0.5f, a, -2, b, y));
        expect_near(y, want, 1e-6, tolerance(db), "y");
        ASSERT_MOE_OK(moe_add(stream, 0.5f, a, -2, b, a));
        expect_near(a, want, 1e-6, tolerance(da), "a");
      }
    }
  }
}

TEST_F(ElementwiseTest, ClampsInEveryDtypeAndInPlace) {
  for (int64_t size : kSizes) {
    for (moe_dtype dx : kFloatings) {
      for (moe_dtype dy : kFloatings) {
        Tensor x = Tensor::random(dx, {size}, 1, -3, 3), y(dy, {size});
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) want.push_back(std::clamp(x[i], -1.5, 1.5));
        ASSERT_MOE_OK(moe_clamp_forward(stream, 1.5f, x, y));
        expect_near(y, want, 0, dy == dx ? 0 : tolerance(dy), "y");
        ASSERT_MOE_OK(moe_clamp_forward(stream, 1.5f, x, x));
        expect_near(x, want, 0, 0, "x");
      }
    }
  }
}

TEST_F(ElementwiseTest, ClampPassesGradientsInside) {
  for (int64_t size : kSizes) {
    for (moe_dtype dtype : kFloatings) {
      Tensor x = Tensor::random(MOE_FLOAT32, {size}, 1, -3, 3), dx(dtype, {size});
      if (size > 0) x.set(0, -1.5);  // the bound itself is inside
      const Tensor dy = Tensor::random(dtype, {size}, 2);
      std::vector<double> want;
      for (int64_t i = 0; i < size; ++i) want.push_back(std::abs(x[i]) <= 1.5 ? dy[i] : 0);
      for (moe_stream on : streams()) {
        ASSERT_MOE_OK(moe_clamp_backward(on, 1.5f, x, dy, dx));
        expect_near(dx, want, 0, 0, "dx");
      }
      ASSERT_MOE_OK(moe_clamp_backward(stream, 1.5f, x, dy, dy));
      expect_same_bits(dy, dx, "in place");
    }
  }
}

TEST_F(ElementwiseTest, ClampKeepsSpecialValuesAndRefusesBounds) {
  const Tensor x = Tensor::of(MOE_FLOAT32, {5}, {NAN, INFINITY, -INFINITY, -0.0, 2});
  Tensor y(MOE_FLOAT32, {5});
  ASSERT_MOE_OK(moe_clamp_forward(stream, 2, x, y));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 2);
  EXPECT_EQ(y[2], -2);
  EXPECT_TRUE(std::signbit(y[3]));
  EXPECT_EQ(y[4], 2);
  for (float bound : {-1.0f, INFINITY, NAN}) {
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bound is", moe_clamp_forward(stream, bound, x, y));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bound is", moe_clamp_backward(stream, bound, x, x, y));
  }
}

TEST_F(ElementwiseTest, ExponentialsMatchFloat64InPlaceToo) {
  for (int64_t size : kSizes) {
    for (moe_dtype from : kFloatings) {
      for (moe_dtype to : kFloatings) {
        Tensor x = Tensor::random(from, {size}, 1, -90, 5), y(to, {size});
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) want.push_back(std::exp(std::min(x[i], 1.5)));
        for (moe_stream on : streams()) {
          ASSERT_MOE_OK(moe_exp_forward(on, 1.5f, x, y));
          expect_near(y, want, 1e-37, tolerance(to), "y");
        }
        ASSERT_MOE_OK(moe_exp_forward(stream, 1.5f, x, x));
        expect_near(x, want, 1e-37, tolerance(from), "x");
      }
    }
  }
}

// Steps of 1e-5, from which the bound is further away. The bound itself is inside.
TEST_F(ElementwiseTest, ExponentialGradientsMatchCentralDifferences) {
  for (int64_t size : kSizes) {
    for (moe_dtype dtype : kFloatings) {
      Tensor x = Tensor::random(MOE_FLOAT32, {size}, 1, -3, 3), dx(dtype, {size});
      for (int64_t i = 0; i < size; ++i) {
        if (i == 0 || std::abs(x[i] - 1.5) < 1e-4) x.set(i, i == 0 ? 1.5 : 0);
      }
      const Tensor dy = Tensor::random(dtype, {size}, 2);
      const auto value = [](double at) { return std::exp(std::min(at, 1.5)); };
      std::vector<double> want;
      for (int64_t i = 0; i < size; ++i) want.push_back(dy[i] * (value(x[i] + 1e-5) - value(x[i] - 1e-5)) / 2e-5);
      if (size > 0) want[0] = dy[0] * std::exp(1.5);
      for (moe_stream on : streams()) {
        ASSERT_MOE_OK(moe_exp_backward(on, 1.5f, x, dy, dx));
        expect_near(dx, want, 1e-6, tolerance(dtype), "dx");
      }
      ASSERT_MOE_OK(moe_exp_backward(stream, 1.5f, x, dy, dy));
      expect_same_bits(dy, dx, "in place");
    }
  }
}

TEST_F(ElementwiseTest, ExponentialsKeepSpecialValuesAndRefuseBounds) {
  const Tensor x = Tensor::of(MOE_FLOAT32, {5}, {NAN, INFINITY, -INFINITY, -0.0, -200});
  const Tensor ones = Tensor::of(MOE_FLOAT32, {5}, {1, 1, 1, 1, 1});
  Tensor y(MOE_FLOAT32, {5}), dx(MOE_FLOAT32, {5});
  ASSERT_MOE_OK(moe_exp_forward(stream, 88, x, y));
  ASSERT_MOE_OK(moe_exp_backward(stream, 88, x, ones, dx));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_NEAR(y[1] / std::exp(88.0), 1, 1e-6);
  EXPECT_EQ(dx[1], 0);
  for (int64_t i : {2, 3, 4}) {
    EXPECT_EQ(y[i], i == 3 ? 1 : 0) << i;
    EXPECT_EQ(dx[i], y[i]) << i;
  }
  for (float bound : {89.0f, -INFINITY, NAN}) {
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bound is", moe_exp_forward(stream, bound, x, y));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bound is", moe_exp_backward(stream, bound, x, x, y));
  }
}

TEST_F(ElementwiseTest, ActivationsMatchFloat64) {
  for (int32_t activation = MOE_IDENTITY; activation <= MOE_SILU; ++activation) {
    for (int64_t size : kSizes) {
      for (moe_dtype dtype : kFloatings) {
        SCOPED_TRACE(::testing::Message() << activation << " size " << size);
        const Tensor x = Tensor::random(MOE_FLOAT32, {1, size}, 4, -12, 12);
        Tensor y(dtype, {1, size});
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) want.push_back(activated_value(activation, x[i]));
        ASSERT_MOE_OK(moe_activation_forward(stream, activation_of(activation), x, y));
        expect_near(y, want, 2e-7, dtype == MOE_FLOAT32 ? 4e-6 : tolerance(dtype), "y");
      }
    }
  }
}

TEST_F(ElementwiseTest, ActivationGradientsMatchCentralDifferences) {
  for (int32_t activation = MOE_IDENTITY; activation <= MOE_SILU; ++activation) {
    for (int64_t size : {1, 9, 201}) {
      Tensor x = Tensor::random(MOE_FLOAT32, {1, size}, 5, -6, 6);
      const Tensor dy = Tensor::random(MOE_FLOAT32, {1, size}, 6);
      const Tensor dx(MOE_FLOAT32, {1, size});
      ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(activation), x, dy, dx));
      std::vector<double> want;  // step 1e-5 in float64: error below 1e-9
      for (int64_t i = 0; i < size; ++i) {
        const double above = activated_value(activation, x[i] + 1e-5), below = activated_value(activation, x[i] - 1e-5);
        want.push_back(dy[i] * (above - below) / 2e-5);
      }
      expect_near(dx, want, 2e-6, 1e-5, "dx");
      ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(activation), x, dy, x));
      expect_same_bits(x, dx, "in place");
    }
  }
}

TEST_F(ElementwiseTest, GatedActivationsMatchFloat64AndCentralDifferences) {
  for (auto [kind, gate_kind] : {std::pair{MOE_SWIGLU, MOE_SILU}, {MOE_GEGLU_TANH, MOE_GELU_TANH}}) {
    const int32_t of_gate = gate_kind;
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {5, 8}, {2, 17}, {300, 65}, {0, 4}}) {
      Tensor x = Tensor::random(MOE_FLOAT32, {rows, 2 * width}, 7, -4, 4);
      const Tensor dy = Tensor::random(MOE_FLOAT32, {rows, width}, 8);
      const Tensor y(MOE_FLOAT32, {rows, width}), dx(MOE_FLOAT32, {rows, 2 * width});
      ASSERT_MOE_OK(moe_activation_forward(stream, activation_of(kind), x, y));
      ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(kind), x, dy, dx));
      std::vector<double> want, gradient(static_cast<size_t>(x.count()));
      for (int64_t s = 0; s < rows; ++s) {
        for (int64_t i = 0; i < width; ++i) {
          const int64_t gate = 2 * s * width + i, up = gate + width;
          const auto value = [&](double g, double u) { return activated_value(of_gate, g) * u; };
          want.push_back(value(x[gate], x[up]));
          const double scale = dy[s * width + i] / 2e-5;
          gradient[static_cast<size_t>(gate)] = scale * (value(x[gate] + 1e-5, x[up]) - value(x[gate] - 1e-5, x[up]));
          gradient[static_cast<size_t>(up)] = scale * (value(x[gate], x[up] + 1e-5) - value(x[gate], x[up] - 1e-5));
        }
      }
      expect_near(y, want, 2e-7, 4e-6, "y");
      expect_near(dx, gradient, 4e-6, 1e-5, "dx");
      ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(kind), x, dy, x));
      expect_same_bits(x, dx, "in place");
    }
  }
}

TEST_F(ElementwiseTest, SoftCapsMatchFloat64InPlaceToo) {
  for (int64_t size : kSizes) {
    for (moe_dtype dx : kFloatings) {
      for (moe_dtype dy : kFloatings) {
        Tensor x = Tensor::random(dx, {size}, 1, -30, 30), y(dy, {size});
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) want.push_back(5 * std::tanh(x[i] / 5));
        for (moe_stream on : streams()) {
          ASSERT_MOE_OK(moe_soft_cap(on, 5, x, y));
          expect_near(y, want, 1e-6, tolerance(dy), "y");
        }
        ASSERT_MOE_OK(moe_soft_cap(stream, 5, x, x));
        expect_near(x, want, 1e-6, tolerance(dx), "x");
      }
    }
  }
  const Tensor x = Tensor::of(MOE_FLOAT32, {3}, {NAN, INFINITY, -INFINITY}), y(MOE_FLOAT32, {3});
  ASSERT_MOE_OK(moe_soft_cap(stream, 2, x, y));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 2);
  EXPECT_EQ(y[2], -2);
  for (float cap : {0.0f, -1.0f, INFINITY, NAN}) {
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "cap is", moe_soft_cap(stream, cap, x, y));
  }
}

TEST_F(ElementwiseTest, TheSameBitsOnEveryThreadCount) {
  const Tensor x = Tensor::random(MOE_FLOAT32, {100, 1001}, 1, -3, 3);
  Tensor one(MOE_FLOAT32, {100, 1001}), three(MOE_FLOAT32, {100, 1001});
  for (int32_t activation = MOE_IDENTITY; activation <= MOE_SILU; ++activation) {
    ASSERT_MOE_OK(moe_activation_forward(single, activation_of(activation), x, one));
    ASSERT_MOE_OK(moe_activation_forward(triple, activation_of(activation), x, three));
    expect_same_bits(one, three);
  }
  ASSERT_MOE_OK(moe_add(single, 0.1f, x, 3, x, one));
  ASSERT_MOE_OK(moe_add(triple, 0.1f, x, 3, x, three));
  expect_same_bits(one, three);
}

TEST_F(ElementwiseTest, Refuses) {
  const Tensor x(MOE_FLOAT32, {2, 3}), y(MOE_FLOAT32, {2, 2}), ids(MOE_INT32, {2, 3});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y of shape [2, 2] has 4 elements, expected 6", moe_cast(stream, x, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y is int32, expected float32 or bfloat16", moe_fill(stream, 0, ids));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "b is null", moe_add(stream, 1, x, 1, nullptr, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "activation 8", moe_activation_forward(stream, activation_of(8), x, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "even", moe_activation_forward(stream, activation_of(MOE_SWIGLU), x, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "share memory",
                     moe_activation_forward(stream, activation_of(MOE_RELU), x, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "deviation is nan", moe_random_normal(stream, 1, 0, 0, NAN, x));
  Tensor shifted(MOE_FLOAT32, {7});
  moe_tensor part = shifted.view();
  part.data = shifted.data<float>() + 1;
  part.bytes -= 4;
  part.shape[0] = 6;
  shifted.view().shape[0] = 6;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "share memory", moe_add(stream, 1, shifted, 1, x, &part));
}

class RandomTest : public KernelTest {};

// The known answer of the Random123 library for a zero counter and key.
TEST_F(RandomTest, KnownAnswers) {
  const uint32_t words[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  Tensor y(MOE_FLOAT32, {4});
  ASSERT_MOE_OK(moe_random_uniform(stream, 0, 0, y));
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(y[i], std::ldexp(words[i] >> 8, -24));
  ASSERT_MOE_OK(moe_random_normal(stream, 0, 0, 2, 3, y));
  for (int64_t i = 0; i < 4; ++i) {
    const double radius = std::sqrt(-2 * std::log((words[i / 2 * 2] + 1.0) / 0x1p32));
    const double angle = 2 * std::numbers::pi * words[i / 2 * 2 + 1] / 0x1p32;
    EXPECT_NEAR(y[i], 2 + 3 * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle)), 1e-6);
  }
}

TEST_F(RandomTest, ANumberDependsOnSeedAndIndexAlone) {
  const int64_t size = 20011;
  const Tensor all(MOE_FLOAT32, {size}), three(MOE_FLOAT32, {size}), normal(MOE_FLOAT32, {size});
  ASSERT_MOE_OK(moe_random_uniform(single, 42, 0, all));
  ASSERT_MOE_OK(moe_random_uniform(triple, 42, 0, three));
  ASSERT_MOE_OK(moe_random_normal(stream, 42, 0, 0, 1, normal));
  expect_same_bits(all, three);
  for (int64_t offset : {1, 2, 3, 4, 5, 4999}) {
    for (int64_t count : {0, 1, 2, 3, 5, 64}) {
      const Tensor part(MOE_FLOAT32, {count}), part_normal(MOE_FLOAT32, {count});
      ASSERT_MOE_OK(moe_random_uniform(stream, 42, static_cast<uint64_t>(offset), part));
      ASSERT_MOE_OK(moe_random_normal(stream, 42, static_cast<uint64_t>(offset), 0, 1, part_normal));
      for (int64_t i = 0; i < count; ++i) {
        EXPECT_EQ(part[i], all[offset + i]);
        EXPECT_EQ(part_normal[i], normal[offset + i]);
      }
    }
  }
}

// -log(-log(u)) of the uniform numbers at the same offsets; jitter is a float32 product with them, bit for bit.
TEST_F(RandomTest, GumbelAndJitterComeFromTheUniformNumbers) {
  const int64_t size = 20011;
  const float epsilon = 0.01f;
  const Tensor uniform(MOE_FLOAT32, {size}), gumbel(MOE_FLOAT32, {size}), one(MOE_FLOAT32, {size});
  ASSERT_MOE_OK(moe_random_uniform(stream, 42, 3, uniform));
  ASSERT_MOE_OK(moe_random_gumbel(triple, 42, 3, gumbel));
  ASSERT_MOE_OK(moe_random_gumbel(single, 42, 3, one));
  expect_same_bits(gumbel, one);
  std::vector<double> want;
  for (double u : values_of(uniform)) want.push_back(-std::log(-std::log(std::max<double>(u, FLT_MIN))));
  expect_near(gumbel, want, 1e-7, 1e-7, "gumbel");
  for (moe_dtype dx : kFloatings) {
    for (moe_dtype dy : kFloatings) {
      const Tensor x = Tensor::random(dx, {size}, 5), y(dy, {size}), again(dy, {size});
      ASSERT_MOE_OK(moe_jitter(triple, 42, 3, epsilon, x, y));
      ASSERT_MOE_OK(moe_jitter(single, 42, 3, epsilon, x, again));
      expect_same_bits(y, again);
      for (int64_t i = 0; i < size; ++i) {
        const volatile float above = 2 * epsilon * static_cast<float>(uniform[i]);  // else ARM's compilers fuse the sum
        const float factor = (1 - epsilon) + above;
        const float product = static_cast<float>(x[i]) * factor;
        ASSERT_EQ(y[i], dy == MOE_FLOAT32 ? product : from_bfloat16(to_bfloat16(product))) << i;
      }
    }
  }
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "epsilon is 1", moe_jitter(stream, 0, 0, 1, uniform, one));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "epsilon is nan", moe_jitter(stream, 0, 0, NAN, uniform, one));
}

// The largest of logits with Gumbel noise is a sample of their softmax: within 5 standard errors.
TEST_F(RandomTest, GumbelSamplesASoftmax) {
  const int64_t samples = 20000;
  const double logits[] = {0, 1, -1};
  const Tensor noise(MOE_FLOAT32, {samples, 3});
  ASSERT_MOE_OK(moe_random_gumbel(stream, 9, 0, noise));
  double counts[3] = {}, total = 0;
  for (int64_t s = 0; s < samples; ++s) {
    const auto key = [&](int64_t e) { return logits[e] + noise[3 * s + e]; };
    ++counts[key(0) > key(1) ? (key(0) > key(2) ? 0 : 2) : (key(1) > key(2) ? 1 : 2)];
  }
  for (double logit : logits) total += std::exp(logit);
  for (int64_t e = 0; e < 3; ++e) {
    const double p = std::exp(logits[e]) / total;
    EXPECT_NEAR(counts[e] / samples, p, 5 * std::sqrt(p * (1 - p) / samples));
  }
}

TEST_F(RandomTest, MomentsAndRange) {
  const int64_t size = 100000;  // the bounds are 5 standard errors
  for (moe_dtype dtype : kFloatings) {
    const Tensor uniform(dtype, {size}), normal(MOE_FLOAT32, {size});
    ASSERT_MOE_OK(moe_random_uniform(stream, 7, 1, uniform));
    ASSERT_MOE_OK(moe_random_normal(stream, 7, 1, -1, 2, normal));
    double mean = 0, normal_mean = 0, normal_square = 0;
    for (int64_t i = 0; i < size; ++i) {
      ASSERT_TRUE(uniform[i] >= 0 && uniform[i] < 1);
      mean += uniform[i] / size;
      normal_mean += normal[i] / size;
      normal_square += (normal[i] + 1) * (normal[i] + 1) / size;
    }
    EXPECT_NEAR(mean, 0.5, 0.005);
    EXPECT_NEAR(normal_mean, -1, 0.032);
    EXPECT_NEAR(normal_square, 4, 0.09);
  }
}

TEST_F(RandomTest, SeedsAndTheEndOfTheCounterDiffer) {
  const Tensor a(MOE_FLOAT32, {8}), b(MOE_FLOAT32, {8}), wrapped(MOE_FLOAT32, {8});
  ASSERT_MOE_OK(moe_random_uniform(stream, 1, 0, a));
  ASSERT_MOE_OK(moe_random_uniform(stream, uint64_t{1} << 32, 0, b));
  ASSERT_MOE_OK(moe_random_uniform(stream, 1, UINT64_MAX - 3, wrapped));
  EXPECT_NE(a.bits(), b.bits());
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(wrapped[4 + i], a[i]);
}

}  // namespace
}  // namespace moe::testing
