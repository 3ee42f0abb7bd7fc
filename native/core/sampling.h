// How a row is sampled, for the kernels of every backend.
#pragma once

#include <cfloat>
#include <cmath>

#include "moe/sample.h"

#if defined(__CUDACC__)
#define MOE_SAMPLING_FUNCTION __host__ __device__ inline
#else
#define MOE_SAMPLING_FUNCTION inline
#endif

namespace moe {

// The weight of the first token, 2^32.
inline constexpr float kWholeWeight = 4294967296.0f;

// The settings of one row of moe_sampling.
struct RowSampling {
  float temperature, min_p, top_p;
  int32_t top_k;
  double uniform;

  MOE_SAMPLING_FUNCTION bool in_range() const {
    return (temperature == 0 || (temperature >= FLT_MIN && temperature <= FLT_MAX)) && min_p >= 0 && min_p <= 1 &&
           top_p >= 0 && top_p <= 1 && top_k >= 0 && uniform >= 0 && uniform < 1;
  }
  // The least weight that min_p keeps; a weight that rounds to 0 is never sampled.
  MOE_SAMPLING_FUNCTION float least_weight() const { return min_p * kWholeWeight > 1 ? min_p * kWholeWeight : 1; }
  // The cumulative weight at which top-p ends, and the one at which the sample is. `mass` is the weight of all
  // remaining tokens.
  MOE_SAMPLING_FUNCTION double top_p_mass(double mass) const { return std::fmax(std::ceil(top_p * mass), 1.0); }
  MOE_SAMPLING_FUNCTION double sampled_mass(double mass) const { return std::floor(uniform * mass) + 1; }
};

// The settings of row `row`, each read once, since another thread may write them.
MOE_SAMPLING_FUNCTION RowSampling row_sampling(const float* temperature, const float* min_p, const float* top_p,
                                               const int32_t* top_k, const double* uniform, int64_t row) {
  return {temperature[row], min_p[row], top_p[row], top_k[row], uniform[row]};
}

}  // namespace moe
