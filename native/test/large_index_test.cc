// Indices past 2^31 elements, where int32 overflows, on the emulation. A tensor of that size needs addresses, not
// memory.
#include <sys/mman.h>
#include <unistd.h>

#include "test/testing.h"

namespace moe::testing {
namespace {

constexpr int64_t kEnd = int64_t{1} << 31;  // the first index that int32 cannot hold

// A bfloat16 tensor of more than kEnd elements, all 0. Its last two windows of 4 MiB are memory of their own; all
// others map the same 4 MiB.
class LargeTensor {
 public:
  LargeTensor(std::initializer_list<int64_t> shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    EXPECT_GT(count, kEnd);
    bytes_ = (count * kElement + kWindow - 1) / kWindow * kWindow;
    const int file = ::memfd_create("far", 0);
    EXPECT_EQ(::ftruncate(file, 3 * kWindow), 0);
    void* place = ::mmap(nullptr, size(bytes_), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(place, MAP_FAILED);
    begin_ = static_cast<uint8_t*>(place);
    for (int64_t at = 0; at < bytes_; at += kWindow) {
      const int64_t shown = std::max<int64_t>(at + 3 * kWindow - bytes_, 0);
      EXPECT_NE(::mmap(begin_ + at, size(kWindow), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, shown),
                MAP_FAILED);
    }
    ::close(file);
    view_ = {sizeof(moe_tensor),
             MOE_BFLOAT16,
             begin_,
             count * kElement,
             static_cast<int32_t>(shape.size()),
             MOE_ROW_MAJOR,
             {}};
    std::copy(shape.begin(), shape.end(), view_.shape);
  }
  ~LargeTensor() { ::munmap(begin_, size(bytes_)); }
  LargeTensor(const LargeTensor&) = delete;
  LargeTensor& operator=(const LargeTensor&) = delete;

  operator const moe_tensor*() const { return &view_; }
  void read(int64_t first, const Tensor& to) const { std::memcpy(to.data<void>(), at(first), bits_of(to)); }
  void write(int64_t first, const Tensor& from) { std::memcpy(at(first), from.data<void>(), bits_of(from)); }

 private:
  static constexpr int64_t kWindow = 4 << 20, kElement = 2;
  static size_t size(int64_t bytes) { return static_cast<size_t>(bytes); }
  static size_t bits_of(const Tensor& tensor) { return size(tensor.view().bytes); }
  uint8_t* at(int64_t i) const { return begin_ + i * kElement; }

  uint8_t* begin_ = nullptr;
  int64_t bytes_ = 0;
  moe_tensor view_{};
};

class EmulatedLargeIndexTest : public KernelTest {
 protected:
  // Expects `want` at elements `first`, ... of `far`.
  static void expect_at(const LargeTensor& far, int64_t first, const Tensor& want) {
    const Tensor there(MOE_BFLOAT16, {want.count()});
    far.read(first, there);
    EXPECT_TRUE(there.bits() == want.bits());
  }
};

TEST_F(EmulatedLargeIndexTest, ElementwiseKernelsReachTheLastElement) {
  const int64_t count = kEnd + 8003;  // with a tail
  const LargeTensor y({count + 5});
  moe_tensor part = *static_cast<const moe_tensor*>(y);
  part.shape[0] = count;
  part.bytes = 2 * count;
  ASSERT_MOE_OK(moe_fill(stream, 0.5f, &part));
  Tensor end(MOE_BFLOAT16, {8005});
  end.fill(0.5);
  for (int64_t i = 8003; i < 8005; ++i) end.set(i, 0);  // what lies past y
  expect_at(y, kEnd, end);
}

// One token whose only row is the last of 2,050: more than 2^31 elements are before it. Rows are not whole vectors,
// whose indices would be smaller.
class EmulatedLargeIndexRowTest : public EmulatedLargeIndexTest {
 protected:
  static constexpr int64_t kRows = 2050, kWidth = (1 << 20) + 1, kLast = (kRows - 1) * kWidth;

  const Tensor expert{MOE_INT32, {1, 1}};
  const Tensor position = Tensor::of(MOE_INT32, {1, 1}, {kRows - 1}), offsets = Tensor::of(MOE_INT32, {2}, {0, kRows});
  const Tensor weight = Tensor::of(MOE_FLOAT32, {1, 1}, {1});
  const Tensor token = Tensor::random(MOE_BFLOAT16, {1, kWidth}, 1), result{MOE_BFLOAT16, {1, kWidth}};
  LargeTensor rows{kRows, kWidth};
};

TEST_F(EmulatedLargeIndexRowTest, DispatchWritesIt) {
  ASSERT_MOE_OK(moe_dispatch_forward(stream, token, table_of(expert, position, offsets), rows));
  expect_at(rows, kLast, token);
}

TEST_F(EmulatedLargeIndexRowTest, GradientOfDispatchReadsIt) {
  rows.write(kLast, token);
  ASSERT_MOE_OK(moe_dispatch_backward(stream, rows, table_of(expert, position, offsets), result));
  expect_same_bits(result, token);
}

TEST_F(EmulatedLargeIndexRowTest, CombineReadsIt) {
  rows.write(kLast, token);
  ASSERT_MOE_OK(moe_combine_forward(stream, combine_inputs(rows, nullptr, nullptr),
                                    table_of(expert, position, offsets, weight), result));
  expect_same_bits(result, token);
}

TEST_F(EmulatedLargeIndexRowTest, GradientOfCombineReadsAndWritesIt) {
  LargeTensor drows({kRows, kWidth});
  rows.write(kLast, token);
  const Tensor dweight(MOE_FLOAT32, {1, 1});
  ASSERT_MOE_OK(moe_combine_backward(stream, token, combine_inputs(rows, nullptr, nullptr),
                                     table_of(expert, position, offsets, weight),
                                     combine_gradients(drows, dweight, nullptr, nullptr)));
  expect_at(drows, kLast, token);
  EXPECT_NEAR(dweight[0], dot(token, token), 1e-4 * dot(token, token));
}

TEST_F(EmulatedLargeIndexRowTest, EmbeddingReadsIt) {
  rows.write(kLast, token);
  const Tensor ids = Tensor::of(MOE_INT32, {1}, {kRows - 1});
  ASSERT_MOE_OK(moe_embedding_forward(stream, ids, rows, nullptr, nullptr, result));
  expect_same_bits(result, token);
}

// One row of the last of 8,200 experts: more than 2^31 weights are before its own.
TEST_F(EmulatedLargeIndexTest, GroupedProductsReachTheLastExpert) {
  const int64_t experts = 8200, n = 32, k = 1 << 13, last = (experts - 1) * n * k;
  Tensor offsets(MOE_INT32, {experts + 1});
  offsets.set(experts, 1);
  const Tensor one = Tensor::of(MOE_INT32, {2}, {0, 1}), own = Tensor::random(MOE_BFLOAT16, {1, n, k}, 1);
  LargeTensor weights({experts, n, k});
  weights.write(last, own);
  for (moe_dtype dtype : {MOE_BFLOAT16, MOE_FLOAT32}) {  // on tensor cores and by multiply-adds
    const Tensor x = Tensor::random(dtype, {1, k}, 2), dy = Tensor::random(dtype, {1, n}, 3);
    const Tensor y(dtype, {1, n}), y_alone(dtype, {1, n}), dx(dtype, {1, k}), dx_alone(dtype, {1, k});
    ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, nullptr));
    ASSERT_MOE_OK(moe_expert_forward(stream, x, one, own, y_alone, nullptr));
    expect_same_bits(y, y_alone, "y");
    ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, weights, dx));
    ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, one, own, dx_alone));
    expect_same_bits(dx, dx_alone, "dx");
    LargeTensor dweights({experts, n, k});
    const Tensor alone(MOE_BFLOAT16, {1, n, k});
    ASSERT_MOE_OK(moe_expert_backward_weights(stream, 1, dy, x, offsets, dweights, nullptr));
    ASSERT_MOE_OK(moe_expert_backward_weights(stream, 1, dy, x, one, alone, nullptr));
    expect_at(dweights, last, alone);
  }
}

}  // namespace
}  // namespace moe::testing
