// LayerNorm and RMSNorm against float64, their gradients against central differences of the float64 norm.
#include "test/testing.h"

namespace moe::testing {
namespace {

// One norm in float64: y [S, M] of x [S, M].
std::vector<double> reference_norm(const std::vector<double>& x, const Tensor& gamma, const Tensor* beta,
                                   double epsilon, double offset = 0) {
  const auto width = static_cast<size_t>(gamma.count());
  std::vector<double> y(x.size());
  for (size_t start = 0; start < x.size(); start += width) {
    double mean = 0, square = 0;
    for (size_t i = 0; beta != nullptr && i < width; ++i) mean += x[start + i] / static_cast<double>(width);
    for (size_t i = 0; i < width; ++i) square += std::pow(x[start + i] - mean, 2) / static_cast<double>(width);
    for (size_t i = 0; i < width; ++i) {
      const auto column = static_cast<int64_t>(i);
      y[start + i] =
          (x[start + i] - mean) / std::sqrt(square + epsilon) * (gamma[column] + offset) + (beta ? (*beta)[column] : 0);
    }
  }
  return y;
}

class NormTest : public KernelTest {
 protected:
  struct Gradients {
    Gradients(int64_t rows, int64_t width, moe_dtype dtype = MOE_FLOAT32)
        : y(dtype, {rows, width}),
          mean(MOE_FLOAT32, {rows}),
          rstd(MOE_FLOAT32, {rows}),
          dx(dtype, {rows, width}),
          dgamma(MOE_FLOAT32, {width}),
          dbeta(MOE_FLOAT32, {width}) {
      dgamma.fill(10);  // the gradients are added
      dbeta.fill(20);
    }
    Tensor y, mean, rstd, dx, dgamma, dbeta;
  };

  static void run(moe_stream stream, bool layer, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& dy, Gradients& out) {
    if (layer) {
      ASSERT_MOE_OK(moe_layer_norm_forward(stream, norm(1e-5f, gamma, beta, out.mean, out.rstd), x, out.y));
      ASSERT_MOE_OK(moe_layer_norm_backward(stream, norm(0, gamma, nullptr, out.mean, out.rstd), x, dy, out.dx,
                                            out.dgamma, out.dbeta));
    } else {
      ASSERT_MOE_OK(moe_rms_norm_forward(stream, norm(1e-5f, gamma, nullptr, nullptr, out.rstd), x, out.y));
      ASSERT_MOE_OK(
          moe_rms_norm_backward(stream, norm(0, gamma, nullptr, nullptr, out.rstd), x, dy, out.dx, out.dgamma));
    }
  }
};

TEST_F(NormTest, MatchesFloat64) {
  for (int64_t width : {1, 2, 7, 8, 9, 31, 32, 33, 64, 100, 1000}) {
    for (int64_t rows : {0, 1, 3, 67}) {
      for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << width);
        const Tensor x = Tensor::random(dtype, {rows, width}, 1, 4, 6), gamma = Tensor::random(MOE_FLOAT32, {width}, 2),
                     beta = Tensor::random(MOE_FLOAT32, {width}, 3), y(dtype, {rows, width});
        const double relative = dtype == MOE_FLOAT32 ? 1e-5 : 1.0 / 256;
        ASSERT_MOE_OK(moe_layer_norm_forward(stream, norm(1e-5f, gamma, beta, nullptr, nullptr), x, y));
        expect_near(y, reference_norm(values_of(x), gamma, &beta, 1e-5f), 1e-5, relative, "layer norm");
        ASSERT_MOE_OK(moe_rms_norm_forward(stream, norm(1e-5f, gamma, nullptr, nullptr, nullptr), x, y));
        expect_near(y, reference_norm(values_of(x), gamma, nullptr, 1e-5f), 1e-6, relative, "RMS norm");
      }
    }
  }
}

TEST_F(NormTest, GradientsMatchCentralDifferences) {
  for (int64_t width : {1, 5, 8, 19, 40}) {
    for (int64_t rows : {1, 4, 70}) {
      for (bool layer : {true, false}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << width << (layer ? " layer" : " RMS"));
        const Tensor x = Tensor::random(MOE_FLOAT32, {rows, width}, 1, -2, 3);
        const Tensor dy = Tensor::random(MOE_FLOAT32, {rows, width}, 4);
        const Tensor gamma = Tensor::random(MOE_FLOAT32, {width}, 2), beta = Tensor::random(MOE_FLOAT32, {width}, 3);
        Gradients out(rows, width);
        run(stream, layer, x, gamma, beta, dy, out);
        const Tensor* shift = layer ? &beta : nullptr;
        std::vector<double> values = values_of(x);
        std::vector<double> dgamma(static_cast<size_t>(width), 10), dbeta(static_cast<size_t>(width), 20);
        const auto loss = [&](size_t i) {
          const auto row = static_cast<int64_t>(i) / width;
          const std::vector<double> only(values.begin() + row * width, values.begin() + (row + 1) * width);
          const std::vector<double> y = reference_norm(only, gamma, shift, 1e-5f);
          double sum = 0;
          for (int64_t i = 0; i < width; ++i) sum += y[i] * dy[row * width + i];
          return sum;
        };
        Tensor unit(MOE_FLOAT32, {width});
        unit.fill(1);
        Tensor none(MOE_FLOAT32, {width});
        const std::vector<double> normal = reference_norm(values, unit, layer ? &none : nullptr, 1e-5f);
        for (size_t i = 0; i < values.size(); ++i) {
          dgamma[i % width] += normal[i] * dy[static_cast<int64_t>(i)];
          if (layer) dbeta[i % width] += dy[static_cast<int64_t>(i)];
        }
        expect_near(out.dx, differences(values, 1e-5, loss), 2e-5, 1e-4, "dx");
        expect_near(out.dgamma, dgamma, 1e-5, 1e-5, "dgamma");
        expect_near(out.dbeta, dbeta, 1e-5, 1e-5, "dbeta");
      }
    }
  }
}

// Rows that a backend may split over threads or read in parts, against the analytic derivative in float64.
TEST_F(NormTest, LongRowsMatchFloat64) {
  for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{19, 515}, {3, 2048}, {17, 9000}, {2, 17003}}) {
    for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      for (bool layer : {true, false}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << width << (layer ? " layer" : " RMS"));
        const Tensor x = Tensor::random(dtype, {rows, width}, 1, -2, 3), dy = Tensor::random(dtype, {rows, width}, 4);
        const Tensor gamma = Tensor::random(MOE_FLOAT32, {width}, 2), beta = Tensor::random(MOE_FLOAT32, {width}, 3);
        Gradients out(rows, width, dtype);
        run(stream, layer, x, gamma, beta, dy, out);
        const auto n = static_cast<double>(width);
        std::vector<double> y, dx, dgamma(static_cast<size_t>(width), 10), dbeta(static_cast<size_t>(width), 20);
        for (int64_t row = 0; row < rows; ++row) {
          double mean = 0, square = 0, g_mean = 0, gn_mean = 0;
          const auto at = [&](int64_t i) { return row * width + i; };
          for (int64_t i = 0; layer && i < width; ++i) mean += x[at(i)] / n;
          for (int64_t i = 0; i < width; ++i) square += std::pow(x[at(i)] - mean, 2) / n;
          const double rstd = 1 / std::sqrt(square + 1e-5f);
          const auto normal = [&](int64_t i) { return (x[at(i)] - mean) * rstd; };
          for (int64_t i = 0; i < width; ++i) {
            if (layer) g_mean += dy[at(i)] * gamma[i] / n;
            gn_mean += dy[at(i)] * gamma[i] * normal(i) / n;
          }
          for (int64_t i = 0; i < width; ++i) {
            y.push_back(normal(i) * gamma[i] + (layer ? beta[i] : 0));
            dx.push_back(rstd * (dy[at(i)] * gamma[i] - g_mean - normal(i) * gn_mean));
            dgamma[static_cast<size_t>(i)] += dy[at(i)] * normal(i);
            if (layer) dbeta[static_cast<size_t>(i)] += dy[at(i)];
          }
        }
        const double relative = dtype == MOE_FLOAT32 ? 1e-5 : 1.0 / 256;
        expect_near(out.y, y, 2e-6, relative, "y");
        expect_near(out.dx, dx, 1e-6, relative, "dx");
        expect_near(out.dgamma, dgamma, 1e-5, 1e-5, "dgamma");
        expect_near(out.dbeta, dbeta, 1e-5, 1e-5, "dbeta");
      }
    }
  }
}

// The offset acts like a gamma that has it, in y and dx; dgamma does not depend on gamma.
TEST_F(NormTest, AnOffsetIsAddedToGamma) {
  for (int64_t width : {1, 19, 515, 9000}) {
    const Tensor x = Tensor::random(MOE_FLOAT32, {5, width}, 1, -2, 3), dy = Tensor::random(MOE_FLOAT32, {5, width}, 4);
    const Tensor gamma = Tensor::random(MOE_FLOAT32, {width}, 2), whole(MOE_FLOAT32, {width});
    for (int64_t i = 0; i < width; ++i) whole.data<float>()[i] = gamma.data<float>()[i] + 1;
    Gradients out(5, width), expected(5, width);
    ASSERT_MOE_OK(moe_rms_norm_forward(stream, norm(1e-5f, gamma, nullptr, nullptr, out.rstd, 1), x, out.y));
    ASSERT_MOE_OK(
        moe_rms_norm_backward(stream, norm(0, gamma, nullptr, nullptr, out.rstd, 1), x, dy, out.dx, out.dgamma));
    run(stream, false, x, whole, whole, dy, expected);
    expect_near(out.y, reference_norm(values_of(x), gamma, nullptr, 1e-5f, 1), 2e-6, 1e-5, "y");
    expect_same_bits(out.y, expected.y, "y");
    expect_same_bits(out.dx, expected.dx, "dx");
    expect_same_bits(out.dgamma, expected.dgamma, "dgamma");
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "gamma_offset is nan",
                       moe_rms_norm_forward(stream, norm(1e-5f, gamma, nullptr, nullptr, nullptr, NAN), x, out.y));
  }
}

TEST_F(NormTest, TheSameBitsOnEveryThreadCountAndInEveryBatch) {
  const int64_t rows = 500, width = 77;
  const Tensor x = Tensor::random(MOE_BFLOAT16, {rows, width}, 1), dy = Tensor::random(MOE_BFLOAT16, {rows, width}, 4),
               gamma = Tensor::random(MOE_FLOAT32, {width}, 2), beta = Tensor::random(MOE_FLOAT32, {width}, 3);
  for (bool layer : {true, false}) {
    Gradients one(rows, width, MOE_BFLOAT16), two(rows, width, MOE_BFLOAT16), three(rows, width, MOE_BFLOAT16);
    run(single, layer, x, gamma, beta, dy, one);
    run(stream, layer, x, gamma, beta, dy, two);
    run(triple, layer, x, gamma, beta, dy, three);
    for (Gradients* other : {&two, &three}) {
      expect_same_bits(one.y, other->y, "y");
      expect_same_bits(one.dx, other->dx, "dx");
      expect_same_bits(one.dgamma, other->dgamma, "dgamma");
      expect_same_bits(one.dbeta, other->dbeta, "dbeta");
    }
    const int64_t row = 123;
    const Tensor x1(MOE_BFLOAT16, {1, width}), dy1(MOE_BFLOAT16, {1, width});
    std::copy_n(x.data<uint16_t>() + row * width, width, x1.data<uint16_t>());
    std::copy_n(dy.data<uint16_t>() + row * width, width, dy1.data<uint16_t>());
    Gradients alone(1, width, MOE_BFLOAT16);
    run(stream, layer, x1, gamma, beta, dy1, alone);
    for (int64_t i = 0; i < width; ++i) {
      ASSERT_EQ(alone.y[i], one.y[row * width + i]);
      ASSERT_EQ(alone.dx[i], one.dx[row * width + i]);
    }
  }
}

TEST_F(NormTest, Refuses) {
  const Tensor x(MOE_FLOAT32, {2, 3}), y(MOE_FLOAT32, {2, 3}), gamma(MOE_FLOAT32, {3}), wide(MOE_FLOAT32, {4});
  const Tensor empty(MOE_FLOAT32, {2, 0}), none(MOE_FLOAT32, {0});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "gamma has shape [4], expected [3]",
                     moe_layer_norm_forward(stream, norm(0, wide, gamma, nullptr, nullptr), x, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "epsilon is -1",
                     moe_rms_norm_forward(stream, norm(-1, gamma, nullptr, nullptr, nullptr), x, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "share memory",
                     moe_rms_norm_forward(stream, norm(0, gamma, nullptr, nullptr, nullptr), x, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "at least one column",
                     moe_rms_norm_forward(stream, norm(0, none, nullptr, nullptr, nullptr), empty, empty));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "rstd has shape [3], expected [2]",
                     moe_rms_norm_backward(stream, norm(0, gamma, nullptr, nullptr, gamma), x, y, y, gamma));
}

}  // namespace
}  // namespace moe::testing
