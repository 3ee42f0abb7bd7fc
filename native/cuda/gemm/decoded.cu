// Products by weights in blocks that are not transposed: c [M, K] = a [M, N] W per group, W [N, K]. It is the gradient
// of a frozen layer's input. A kernel decodes rows of W to float32 in scratch memory, which is multiplied like
// row-major weights: as many groups at a time as fit, or a range of 256 k and more of one. Sums are never cut, so that
// a row's bits do not depend on the other rows. Bound by writing and reading the numbers, 8 bytes each.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='UnpackedGemm*'.
// Time: ./panamoe bench train-step --device cuda.
#include "core/check.h"
#include "cuda/gemm/block_formats.h"
#include "cuda/gemm/product.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr int64_t kScratch = int64_t{64} << 20;  // numbers
constexpr int64_t kRange = 256;                  // columns: whole blocks of every format

// A block decodes `width` numbers of a row. Their bytes are copied to shared memory first, because word_at reads past
// them.
template <class Format>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(const unsigned char* rows, int64_t row_bytes, int bytes, int width, float* to) {
  MOE_DYNAMIC_SHARED(unsigned char, row);
  const unsigned char* from = rows + blockIdx.x * row_bytes;
  for (int i = static_cast<int>(threadIdx.x); i < bytes; i += kThreads) row[i] = from[i];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x) * 4; i < width; i += kThreads * 4) {
    Vector<float, 4> numbers;
    decode_four<Format>(row, i, numbers.values);
    *reinterpret_cast<Vector<float, 4>*>(to + int64_t{blockIdx.x} * width + i) = numbers;
  }
}

}  // namespace

void run_decoded_product(Launcher& launch, const Product& product) {
  const int64_t inner = std::max(product.inner, 1), whole = ceil_div(product.columns, kRange) * kRange;
  const int64_t width = std::clamp(kScratch / inner / kRange * kRange, kRange, std::max(whole, kRange));
  const int64_t at_once = std::clamp<int64_t>(kScratch / (inner * width), 1, std::max(product.count, 1));
  auto* numbers = launch.take<float>(at_once * inner * width);
  const BlockFormat format = block_of(product.b.dtype);
  const auto bytes_of = [&](int64_t columns) { return columns / format.elements * format.bytes; };
  for (int64_t first = 0; first < product.count; first += at_once) {
    for (int64_t column = 0; column < product.columns; column += width) {
      Product part = product;
      part.count = static_cast<int32_t>(std::min(at_once, product.count - first));
      part.offsets = product.offsets == nullptr ? nullptr : product.offsets + first;
      part.continues = product.continues || first > 0;
      part.columns = static_cast<int32_t>(std::min(width, product.columns - column));
      part.b = {numbers, MOE_FLOAT32, part.columns, true, true};
      part.b_elements = int64_t{product.inner} * part.columns;
      part.c.data = static_cast<char*>(part.c.data) + column * dtype_bytes(part.c.dtype);
      const auto* rows = static_cast<const unsigned char*>(product.b.data) +
                         first * product.inner * bytes_of(product.columns) + bytes_of(column);
      with_block_dtype(product.b.dtype, [&](auto dtype) {
        launch(decode_kernel<BlockTraits<dtype.value>>, static_cast<unsigned>(part.count * product.inner), kThreads,
               static_cast<size_t>(bytes_of(part.columns) + 4), rows, bytes_of(product.columns),
               static_cast<int>(bytes_of(part.columns)), part.columns, numbers);
      });
      run_product(launch, part);
    }
  }
}

}  // namespace moe::cuda
