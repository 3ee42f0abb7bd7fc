// Copies and transposes of columns of heads against their definition.
#include "test/structs.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class HeadCopyTest : public KernelTest {};

TEST_F(HeadCopyTest, CopiesColumnsAndLeavesTheOthers) {
  struct Case {
    int64_t outer, inner, x_width, y_width, from, to, count;
  };
  for (const Case& c : {Case{3, 5, 8, 8, 0, 0, 8},
                        {3, 5, 24, 40, 8, 16, 16},
                        {7, 1, 576, 512, 64, 0, 512},
                        {2, 3, 7, 9, 3, 5, 4},
                        {4, 2, 16, 16, 4, 2, 8},
                        {1, 6, 5, 5, 5, 0, 0},
                        {0, 3, 4, 4, 0, 0, 4},
                        {300, 17, 12, 20, 4, 8, 8}}) {
    for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      for (int32_t transpose : {0, 1}) {
        const Tensor x = transpose == 0 ? Tensor::random(dtype, {c.outer, c.inner, c.x_width}, 1)
                                        : Tensor::random(dtype, {c.inner, c.outer, c.x_width}, 1);
        const Tensor y = Tensor::random(dtype, {c.outer, c.inner, c.y_width}, 2);
        std::vector<double> expected = values_of(y);
        for (int64_t a = 0; a < c.outer; ++a) {
          for (int64_t b = 0; b < c.inner; ++b) {
            const int64_t from = transpose == 0 ? a * c.inner + b : b * c.outer + a;
            for (int64_t column = 0; column < c.count; ++column) {
              expected[static_cast<size_t>((a * c.inner + b) * c.y_width + c.to + column)] =
                  x[from * c.x_width + c.from + column];
            }
          }
        }
        ASSERT_MOE_OK(moe_head_copy(triple, head_columns(transpose, c.from, c.to, c.count), x, y));
        expect_near(y, expected, 0, 0);
      }
    }
  }
}

TEST_F(HeadCopyTest, RefusesWhatDoesNotFit) {
  const Tensor x(MOE_FLOAT32, {2, 3, 8}), y(MOE_FLOAT32, {2, 3, 6}), turned(MOE_FLOAT32, {3, 2, 6});
  const auto copy = [&](int32_t transpose, int64_t from, int64_t to, int64_t count, const moe_tensor* into) {
    return moe_head_copy(stream, head_columns(transpose, from, to, count), x, into);
  };
  EXPECT_MOE_OK(copy(0, 2, 0, 6, y));
  EXPECT_MOE_OK(copy(1, 2, 0, 6, turned));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "columns.from is 3 and columns.count is 6, but x has 8 columns",
                     copy(0, 3, 0, 6, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "columns.to is 1 and columns.count is 6, but y has 6 columns",
                     copy(0, 0, 1, 6, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "columns.from is -1", copy(0, -1, 0, 2, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "columns.count is -2", copy(0, 0, 0, -2, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "but x has 8 columns", copy(0, 4, 0, INT64_MAX, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "columns.transpose is 2", copy(2, 0, 0, 2, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y has shape", copy(1, 0, 0, 2, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "x is float32 but y is bfloat16",
                     copy(0, 0, 0, 2, Tensor(MOE_BFLOAT16, {2, 3, 6})));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y and x share memory", copy(0, 0, 2, 2, x));
}

}  // namespace
}  // namespace moe::testing
