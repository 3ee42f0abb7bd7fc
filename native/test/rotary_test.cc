// The rotary position embedding against float64, its inverse, and its gradient.
#include <map>
#include <utility>

#include "test/structs.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

struct Case {
  int64_t rows, heads, head_size, half;
  int32_t interleaved;
};

class RotaryTest : public KernelTest {
 protected:
  static constexpr int64_t kPlaces = 50;

  void SetUp() override {
    KernelTest::SetUp();
    for (int64_t half : {0, 1, 3, 4, 8, 16, 20}) {
      Tensor cosine(MOE_FLOAT32, {kPlaces, half}), sine(MOE_FLOAT32, {kPlaces, half});
      for (int64_t i = 0; i < cosine.count(); ++i) {
        const auto place = static_cast<double>(i / half), pair = static_cast<double>(i % half);
        const double angle = place * std::pow(100.0, -pair / static_cast<double>(half));
        cosine.set(i, std::cos(angle));
        sine.set(i, std::sin(angle));
      }
      tables.emplace(half, std::pair(std::move(cosine), std::move(sine)));
    }
  }

  static Tensor positions(int64_t rows) {
    Tensor tensor(MOE_INT32, {rows});
    for (int64_t i = 0; i < rows; ++i) tensor.set(i, static_cast<double>((i * 37 + 11) % kPlaces));
    return tensor;
  }

  moe_status rotate(moe_stream on, const Case& c, const Tensor& x, int32_t direction, const Tensor& y) {
    const auto& [cosine, sine] = tables.at(c.half);
    return moe_rotary(on, x, rotary_angles(positions(c.rows), cosine, sine, c.interleaved), direction, y);
  }

  std::vector<double> expected(const Case& c, const Tensor& x, int32_t direction) {
    const auto& [cosine, sine] = tables.at(c.half);
    const Tensor places = positions(c.rows);
    std::vector<double> y = values_of(x);
    for (int64_t head = 0; head < c.rows * c.heads; ++head) {
      const auto place = static_cast<int64_t>(places[head / c.heads]);
      for (int64_t pair = 0; pair < c.half; ++pair) {
        const int64_t real = head * c.head_size + (c.interleaved ? 2 * pair : pair);
        const int64_t imaginary = c.interleaved ? real + 1 : real + c.half;
        const double cos = cosine[place * c.half + pair], sin = direction * sine[place * c.half + pair];
        y[real] = x[real] * cos - x[imaginary] * sin;
        y[imaginary] = x[imaginary] * cos + x[real] * sin;
      }
    }
    return y;
  }

  static std::vector<Case> cases() {
    std::vector<Case> all;
    for (int32_t interleaved : {0, 1}) {
      for (auto [head_size, half] : {std::pair{8, 4}, {32, 16}, {32, 8}, {41, 20}, {7, 3}, {3, 1}, {5, 0}, {16, 4}}) {
        for (int64_t rows : {0, 1, 9}) all.push_back({rows, 3, head_size, half, interleaved});
      }
    }
    return all;
  }

  std::map<int64_t, std::pair<Tensor, Tensor>> tables;  // cosine and sine by R / 2
};

TEST_F(RotaryTest, AgreesWithFloat64) {
  for (const Case& c : cases()) {
    for (int32_t direction : {1, -1}) {
      for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
        const Tensor x = Tensor::random(dtype, {c.rows, c.heads, c.head_size}, 1);
        const Tensor y(dtype, {c.rows, c.heads, c.head_size});
        ASSERT_MOE_OK(rotate(stream, c, x, direction, y));
        expect_near(y, expected(c, x, direction), dtype == MOE_FLOAT32 ? 3e-7 : 1e-6, dtype == MOE_FLOAT32 ? 0 : 4e-3);
        ASSERT_MOE_OK(rotate(triple, c, x, direction, x));
        expect_same_bits(x, y, "in place");
      }
    }
  }
}

TEST_F(RotaryTest, BackwardIsTheInverseAndTheGradient) {
  for (const Case& c : cases()) {
    Tensor x = Tensor::random(MOE_FLOAT32, {c.rows, c.heads, c.head_size}, 1);
    const Tensor y(MOE_FLOAT32, {c.rows, c.heads, c.head_size}), back(MOE_FLOAT32, {c.rows, c.heads, c.head_size});
    ASSERT_MOE_OK(rotate(single, c, x, 1, y));
    ASSERT_MOE_OK(rotate(single, c, y, -1, back));
    expect_near(back, values_of(x), 5e-7, 0, "inverse");

    const Tensor dy = Tensor::random(MOE_FLOAT32, {c.rows, c.heads, c.head_size}, 2);
    ASSERT_MOE_OK(rotate(single, c, dy, -1, back));
    const auto loss = [&] {
      EXPECT_MOE_OK(rotate(single, c, x, 1, y));
      return dot(y, dy);
    };
    expect_gradient(x, values_of(back), loss, 0.5, 1e-6, 1e-6, "x");  // linear in x: any step will do
  }
}

TEST_F(RotaryTest, RefusesWhatDoesNotFit) {
  const Tensor x(MOE_FLOAT32, {2, 3, 8}), cosine(MOE_FLOAT32, {10, 4}), wide(MOE_FLOAT32, {10, 5});
  const Tensor half(MOE_BFLOAT16, {2, 3, 8}), places = Tensor::of(MOE_INT32, {2}, {0, 9});
  const auto rotary = [&](const moe_tensor* position, const moe_tensor* cos, const moe_tensor* sin, int32_t interleaved,
                          int32_t direction, const moe_tensor* y) {
    return moe_rotary(stream, x, rotary_angles(position, cos, sin, interleaved), direction, y);
  };
  EXPECT_MOE_OK(rotary(places, cosine, cosine, 0, 1, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "positions[1] is 10, expected 0 to 9",
                     rotary(Tensor::of(MOE_INT32, {2}, {0, 10}), cosine, cosine, 0, 1, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "positions[0] is -1",
                     rotary(Tensor::of(MOE_INT32, {2}, {-1, 0}), cosine, cosine, 0, 1, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "5 columns, more than half the head size 8",
                     rotary(places, wide, wide, 0, 1, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "sine has shape", rotary(places, cosine, wide, 0, 1, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "interleaved is 2", rotary(places, cosine, cosine, 2, 1, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "direction is 0", rotary(places, cosine, cosine, 0, 0, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "x is float32 but y is bfloat16",
                     rotary(places, cosine, cosine, 0, 1, half));
}

}  // namespace
}  // namespace moe::testing
