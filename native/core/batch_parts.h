// The sums of a batch's parts, which moe_balance_join adds, for the kernels of every backend.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define MOE_PARTS_FUNCTION __host__ __device__ inline
#else
#define MOE_PARTS_FUNCTION inline
#endif

namespace moe {

// float64 elements of a part: scores [E], then int32 chosen [E], int32 used, float32 z.
MOE_PARTS_FUNCTION int64_t part_size(int64_t experts) { return experts + (experts + 3) / 2; }

struct BatchParts {
  const char* memory;
  int64_t count, experts;

  // The sums of one expert.
  MOE_PARTS_FUNCTION void join(int64_t e, double* scores, int32_t* chosen) const {
    scores[e] = 0;
    chosen[e] = 0;
    for (int64_t part = 0; part < count; ++part) {
      scores[e] += reinterpret_cast<const double*>(at(part))[e];
      chosen[e] += reinterpret_cast<const int32_t*>(at(part) + 8 * experts)[e];
    }
  }

  // The used tokens, and the mean of the z losses over them.
  MOE_PARTS_FUNCTION void join_tokens(int32_t* used, float* z) const {
    int32_t tokens = 0;
    double sum = 0;
    for (int64_t part = 0; part < count; ++part) {
      const int32_t here = *reinterpret_cast<const int32_t*>(at(part) + 12 * experts);
      const double mean = *reinterpret_cast<const float*>(at(part) + 12 * experts + 4);
      tokens += here;
      if (here != 0) sum += here * mean;
    }
    *used = tokens;
    *z = tokens == 0 ? 0 : static_cast<float>(sum / tokens);
  }

 private:
  MOE_PARTS_FUNCTION const char* at(int64_t part) const { return memory + 8 * part * part_size(experts); }
};

}  // namespace moe
