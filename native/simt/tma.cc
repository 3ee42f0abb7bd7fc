// TMA: descriptors of matrices, as the driver encodes them, and copies of boxes to shared memory.
#include <cuda.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "simt/hopper.h"
#include "simt/outcome.h"

namespace {

constexpr int kRank = 3;
constexpr uint32_t kSwizzleBytes = 128;

// The emulation's content of a CUtensorMap.
struct Matrix {
  const unsigned char* data;
  uint64_t sizes[kRank];        // elements, the contiguous dimension first
  uint64_t strides[kRank - 1];  // bytes
  uint32_t box[kRank];
  uint32_t element;  // bytes
};
static_assert(sizeof(Matrix) <= sizeof(CUtensorMap));

// Calls action(at, from, bytes) for each row of a box that is in part within the matrix: `bytes` from `from` on go to
// byte `at` of the box.
template <typename Action>
void for_rows(const Matrix& matrix, const std::array<int, kRank>& first, Action action) {
  const int64_t begin = std::max(0, first[0]);
  const int64_t end = std::min(int64_t{first[0]} + matrix.box[0], int64_t(matrix.sizes[0]));
  for (uint32_t z = 0; z < matrix.box[2]; ++z) {
    for (uint32_t y = 0; y < matrix.box[1]; ++y) {
      const int64_t line = int64_t{first[1]} + y, group = int64_t{first[2]} + z;
      if (line < 0 || line >= int64_t(matrix.sizes[1]) || group < 0 || group >= int64_t(matrix.sizes[2])) continue;
      if (begin >= end) continue;
      const size_t at = ((size_t{z} * matrix.box[1] + y) * matrix.box[0] + size_t(begin - first[0])) * matrix.element;
      action(
          at,
          matrix.data + group * int64_t(matrix.strides[1]) + line * int64_t(matrix.strides[0]) + begin * matrix.element,
          size_t(end - begin) * matrix.element);
    }
  }
}

}  // namespace

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                                const cuuint64_t* sizes, const cuuint64_t* strides, const cuuint32_t* box,
                                const cuuint32_t* steps, CUtensorMapInterleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  if (rank != kRank || type != CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || swizzle != CU_TENSOR_MAP_SWIZZLE_128B) {
    return CUDA_ERROR_NOT_SUPPORTED;  // the emulation does not support it
  }
  const uint32_t element = 2;
  bool legal = reinterpret_cast<uintptr_t>(map) % alignof(CUtensorMap) == 0 &&
               reinterpret_cast<uintptr_t>(data) % 16 == 0 && box[0] * element == kSwizzleBytes;
  for (int i = 0; i < kRank; ++i) {
    legal = legal && sizes[i] >= 1 && sizes[i] <= uint64_t{1} << 32 && box[i] >= 1 && box[i] <= 256 && steps[i] == 1;
  }
  for (int i = 0; i < kRank - 1; ++i) {
    legal = legal && strides[i] % 16 == 0 && strides[i] < uint64_t{1} << 40 &&
            strides[i] >= (i == 0 ? sizes[0] * element : strides[i - 1]);
  }
  if (!legal) return CUDA_ERROR_INVALID_VALUE;
  const Matrix matrix{static_cast<const unsigned char*>(data),
                      {sizes[0], sizes[1], sizes[2]},
                      {strides[0], strides[1]},
                      {box[0], box[1], box[2]},
                      element};
  std::memcpy(map, &matrix, sizeof(matrix));
  return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  SIMT_OUTCOME();
  const bool known = std::strcmp(symbol, "cuTensorMapEncodeTiled") == 0;
  *function = known ? reinterpret_cast<void*>(&cuTensorMapEncodeTiled) : nullptr;
  *result = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

namespace simt {

void start_box(AsyncProxy& async, const CUtensorMap& map, const std::array<int, 3>& first, void* to,
               uint64_t* barrier) {
  if (!async.mbarrier(barrier).announced) {
    throw std::runtime_error("TMA with an mbarrier that was started without fence.mbarrier_init");
  }
  Matrix matrix;
  std::memcpy(&matrix, &map, sizeof(matrix));
  const uint32_t address = async.address_of(to);
  if (address % 128 != 0) throw std::runtime_error("TMA to an address that is not a multiple of 128");
  const auto write = [&async, address](const std::vector<unsigned char>& box) {
    for (uint32_t i = 0; i < box.size(); i += 16) {
      const uint32_t linear = address + i;
      async.write(linear ^ (linear >> 7 & 7) << 4, &box[i], 16, "TMA");
    }
  };
  const size_t bytes = size_t{matrix.box[0]} * matrix.element * matrix.box[1] * matrix.box[2];
  // Until it lands, the memory holds neither its old nor its new content.
  if (!kCounted) write(std::vector<unsigned char>(bytes, kUnwritten));
  async.launch([&async, matrix, first, write, barrier, bytes] {
    if constexpr (kCounted) {
      for_rows(matrix, first, [](size_t, const void* from, size_t of_row) { count_copied(from, of_row); });
      count_shared(bytes);
    } else {
      std::vector<unsigned char> box(bytes);  // 0 outside the matrix
      for_rows(matrix, first, [&](size_t at, const void* from, size_t of_row) { std::memcpy(&box[at], from, of_row); });
      write(box);
    }
    Mbarrier& found = async.mbarrier(barrier);
    found.bytes -= static_cast<int64_t>(bytes);
    found.go_on_if_complete();
  });
}

}  // namespace simt
