// Samples tokens from rows of logits; moe/sample.h defines the sampling. Weights have the bits of cpu/sample.cc and
// sums are exact, so that the CPU samples the same tokens.
//
// A block takes a row. A walk down the order of its tokens finds the key of the logit where it ends, eight bits in each
// of four passes over the row, which sum weights and count tokens per value of these bits. A thread recomputes weights
// instead of storing them. Bound by arithmetic; the row is read from the L1 cache. Test: PANAMOE_TEST_BACKEND=simt
// panamoe_test --gtest_filter='Sample*'. Time: ./panamoe bench decode-batch --device cuda.
#include "core/sampling.h"

#include "cuda/kernels.h"
#include "cuda/launcher.h"
#include "cuda/scan.h"
#include "cuda/vector.h"

namespace moe::cuda {
namespace {

constexpr unsigned kMostThreads = 512;
constexpr int kKeyBits = 32, kDigitBits = 8, kDigits = 1 << kDigitBits;
constexpr int kHeld = 8;  // logits per thread: rows with more get more threads, up to kMostThreads

// softmax_exp of cpu/simd/exp-inl.h.
__device__ __forceinline__ float softmax_exp(float x) {
  if (!(x >= -87.3f)) return 0;
  const float shift = 12583039.0f, k = fmaf(x, 1.44269504f, shift) - shift;
  float r = fmaf(-k, 0.693145752f, x);
  r = fmaf(-k, 1.42860677e-6f, r);
  float series = fmaf(0.001381459879f, r, 0.008368716575f);
  series = fmaf(series, r, 0.04166838899f);
  series = fmaf(series, r, 0.1666652113f);
  series = fmaf(series, r, 0.4999999404f);
  series = fmaf(series, r, 1.0f);
  series = fmaf(series, r, 1.0f);
  return series * __int_as_float((static_cast<int>(k) + 127) << 23);
}

// A key that orders like the logit; -0 is 0.
__device__ __forceinline__ uint32_t key_of(float logit) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

// The weights and the number of some tokens.
struct Sums {
  unsigned long long mass;
  int count;
};

// Shared memory of a block.
struct Shared {
  float peaks[kMostWarps];
  int counts[kMostWarps];
  unsigned long long masses[kMostWarps];
  Sums of_digit[kDigits];
  // State of a walk: the leading digits of the key where it ends, followed by 0, and the sums above these keys.
  uint32_t key;
  Sums above;
};

// End of a walk: the `equal`-th token, from 1 on, with this key.
struct WalkEnd {
  uint32_t key;
  double mass;  // cumulative weight up to it
  int equal;
};

// A row of logits. All threads of the block call each method except weight().
struct Row {
  const float* logits;
  int classes;
  float best, inverse_temperature, least;
  Shared& shared;

  // The weight of a token; 0 if min_p removed it.
  __device__ __forceinline__ float weight(float logit) const {
    const float weight = rintf(softmax_exp((logit - best) * inverse_temperature) * kWholeWeight);
    return weight >= least ? weight : 0;
  }

  // The sums of all remaining tokens.
  __device__ Sums all() const {
    Sums sums{0, 0};
    for (int i = static_cast<int>(threadIdx.x); i < classes; i += static_cast<int>(blockDim.x)) {
      const float own = weight(logits[i]);
      sums.mass += static_cast<unsigned long long>(own);
      sums.count += own > 0;
    }
    return {block_sum(sums.mass, shared.masses), block_sum(sums.count, shared.counts)};
  }

  // Walks down the order of the tokens until their weights sum to `mass`, or their number is `count`.
  __device__ WalkEnd walk(double mass, int count) const {
    if (threadIdx.x == 0) {
      shared.key = 0;
      shared.above = {0, 0};
    }
    for (int shift = kKeyBits - kDigitBits; shift >= 0; shift -= kDigitBits) {
      for (int digit = static_cast<int>(threadIdx.x); digit < kDigits; digit += static_cast<int>(blockDim.x)) {
        shared.of_digit[digit] = {0, 0};
      }
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < classes; i += static_cast<int>(blockDim.x)) {
        const uint32_t digits = key_of(logits[i]) >> shift, leading = shared.key >> shift;
        if (digits / kDigits != leading / kDigits) continue;
        const float own = weight(logits[i]);
        if (!(own > 0)) continue;
        Sums& sums = shared.of_digit[digits % kDigits];  // whole numbers: exact in any order
        atomicAdd(&sums.mass, static_cast<unsigned long long>(own));
        atomicAdd(&sums.count, 1);
      }
      __syncthreads();
      if (threadIdx.x == 0) descend(shift, mass, count);
      __syncthreads();
    }
    const uint32_t key = shared.key;
    const Sums above = shared.above, equal = shared.of_digit[key % kDigits];
    const double own = static_cast<double>(equal.mass) / static_cast<double>(equal.count);
    const double left = ceil((mass - static_cast<double>(above.mass)) / own);
    const double wanted = fmin(left, static_cast<double>(count - above.count));
    __syncthreads();  // before the next walk
    return {key, static_cast<double>(above.mass) + wanted * own, static_cast<int>(wanted)};
  }

  // Appends to the key the digit at `shift` in which the walk ends.
  __device__ void descend(int shift, double mass, int count) const {
    uint32_t digit = kDigits - 1;
    for (; digit > 0; --digit) {
      const Sums to{shared.above.mass + shared.of_digit[digit].mass, shared.above.count + shared.of_digit[digit].count};
      if (static_cast<double>(to.mass) >= mass || to.count >= count) break;
      shared.above = to;
    }
    shared.key |= digit << shift;
  }

  // The `equal`-th token, from 1 on, with this key. Only the thread that finds it writes it.
  __device__ void find(uint32_t key, int equal, int32_t* token) const {
    int before = 0;
    for (int first = 0; first < classes && before < equal; first += static_cast<int>(blockDim.x)) {
      const int i = first + static_cast<int>(threadIdx.x);
      const int own = i < classes && key_of(logits[i]) == key;
      int total;
      __syncthreads();
      const int earlier = before + block_scan(own, shared.counts, total);
      if (own != 0 && earlier + 1 == equal) *token = i;
      before += total;
    }
  }
};

__global__ void __launch_bounds__(kMostThreads, 1)
    sample_kernel(const float* logits, int classes, const float* temperature, const float* min_p, const float* top_p,
                  const int32_t* top_k, const double* uniform, int32_t* tokens) {
  __shared__ Shared shared;
  const int64_t number = blockIdx.x;
  const RowSampling settings = row_sampling(temperature, min_p, top_p, top_k, uniform, number);
  if (threadIdx.x == 0) tokens[number] = -1;  // barriers order this before the token's write
  if (!settings.in_range()) return;

  Row row{logits + number * classes, classes, 0, 0, 0, shared};
  float best = -FLT_MAX;
  int wrong = 0;
  for (int i = static_cast<int>(threadIdx.x); i < classes; i += static_cast<int>(blockDim.x)) {
    best = fmaxf(best, row.logits[i]);
    wrong += !(fabsf(row.logits[i]) <= FLT_MAX);
  }
  row.best = block_max(best, shared.peaks);
  if (block_sum(wrong, shared.counts) > 0) return;
  if (settings.temperature == 0) {
    row.find(key_of(row.best), 1, tokens + number);
    return;
  }

  row.inverse_temperature = 1.0f / settings.temperature;
  row.least = settings.least_weight();
  __syncthreads();
  const Sums all = row.all();
  double mass = static_cast<double>(all.mass);
  if (settings.top_k > 0 && settings.top_k < all.count) mass = row.walk(INFINITY, settings.top_k).mass;
  if (settings.top_p < 1) mass = row.walk(settings.top_p_mass(mass), all.count).mass;
  const WalkEnd end = row.walk(settings.sampled_mass(mass), all.count);
  row.find(end.key, end.equal, tokens + number);
}

}  // namespace

void sample(Stream& stream, const moe_sampling& sampling, Tensor logits) {
  Launcher launch(stream);
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  launch(sample_kernel, static_cast<unsigned>(rows), row_threads(classes, 1, kHeld, kMostThreads), 0,
         data<float>(logits), static_cast<int>(classes), data<float>(sampling.temperature), data<float>(sampling.min_p),
         data<float>(sampling.top_p), data<int32_t>(sampling.top_k), data<double>(sampling.uniform),
         data<int32_t>(sampling.tokens));
}

}  // namespace moe::cuda
