// Samples tokens from rows of logits; moe/sample.h defines the sampling. Weights have the bits of cpu/sample.cc and
// sums are exact, so that the CPU samples the same token.
//
// A block takes a row and reads it three times: for its largest and smallest logit; to sum weights and count tokens in
// bins of equal width, in the order of the logits; to hold the tokens of the bins in which walks down that order end.
// If these are too many (equal logits), it walks down the keys of the logits, eight bits in each of four passes. A
// thread recomputes weights instead of storing them. Test: PANAMOE_TEST_BACKEND=simt panamoe_test
// --gtest_filter='Sample*'. Time: ./panamoe bench decode-batch --device cuda.
#include "core/sampling.h"

#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/scan.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr unsigned kMostThreads = 1024;
constexpr int kBinsPerThread = 2, kMostBins = kBinsPerThread * kMostThreads;
constexpr int kMostHeld = 2048;  // tokens in which walks may end
constexpr float kWidest = 23;    // weights of logits further below the largest one are 0, at temperature 1
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
  // Sums of each bin, then up to it; those of a digit for walks down the keys.
  unsigned long long mass_of[kMostBins];
  int count_of[kMostBins];
  // Tokens in which walks may end, and the sums of all tokens before each.
  float logits[kMostHeld];
  float weights[kMostHeld];
  int tokens[kMostHeld];
  Sums before[kMostHeld];
  int held;
  // The ends of walks: a bin; a held token with the sum up to it.
  int bin;
  double mass;
  int token;
  // State of a walk down the keys: the leading digits of the key where it ends, followed by 0, and the sums above these
  // keys.
  uint32_t key;
  Sums above;
};

// End of a walk down the keys: the `equal`-th token, from 1 on, with this key.
struct WalkEnd {
  uint32_t key;
  double mass;  // cumulative weight up to it
  int equal;
};

// Bins in which a walk may end, if it goes to a mass between two bounds; none if last < first.
struct Bins {
  int first = 0, last = -1;
  __device__ bool has(int bin) const { return bin >= first && bin <= last; }
};

// A row of logits. All threads of the block call each method except weight() and bin_of().
struct Row {
  const float* logits;
  int classes;
  float best, inverse_temperature, least, bins_per_logit;
  Shared& shared;

  // Calls visit(token, logit) for this thread's tokens.
  template <typename Visit>
  __device__ __forceinline__ void for_each(Visit&& visit) const {
    const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
    if (classes % 4 == 0 && reinterpret_cast<uintptr_t>(logits) % sizeof(float4) == 0) {
#pragma unroll 4
      for (int i = thread; i < classes / 4; i += threads) {
        const float4 four = __ldg(reinterpret_cast<const float4*>(logits) + i);
        visit(4 * i, four.x);
        visit(4 * i + 1, four.y);
        visit(4 * i + 2, four.z);
        visit(4 * i + 3, four.w);
      }
    } else {
#pragma unroll 4
      for (int i = thread; i < classes; i += threads) visit(i, __ldg(logits + i));
    }
  }

  // The weight of a token; 0 if min_p removed it.
  __device__ __forceinline__ float weight(float logit) const {
    const float weight = rintf(softmax_exp((logit - best) * inverse_temperature) * kWholeWeight);
    return weight >= least ? weight : 0;
  }

  // The bin of a token of weight; rises as logits fall.
  __device__ __forceinline__ int bin_of(float logit) const {
    return static_cast<int>(fminf(fmaxf((best - logit) * bins_per_logit, 0), static_cast<float>(bins() - 1)));
  }
  __device__ int bins() const { return kBinsPerThread * static_cast<int>(blockDim.x); }

  // Sums the weights and counts the tokens up to each bin.
  __device__ void fill_bins() const {
    const int own = kBinsPerThread * static_cast<int>(threadIdx.x);
    for (int i = 0; i < kBinsPerThread; ++i) shared.mass_of[own + i] = 0, shared.count_of[own + i] = 0;
    __syncthreads();
    for_each([&](int, float logit) {
      const float of_token = weight(logit);
      if (!(of_token > 0)) return;
      const int bin = bin_of(logit);
      atomicAdd(&shared.mass_of[bin], static_cast<unsigned long long>(of_token));  // whole numbers: exact in any order
      atomicAdd(&shared.count_of[bin], 1);
    });
    __syncthreads();
    Sums sums{0, 0};
    for (int i = 0; i < kBinsPerThread; ++i) {
      shared.mass_of[own + i] = sums.mass += shared.mass_of[own + i];
      shared.count_of[own + i] = sums.count += shared.count_of[own + i];
    }
    unsigned long long mass;
    int count;
    const Sums before{block_scan(sums.mass, shared.masses, mass), block_scan(sums.count, shared.counts, count)};
    for (int i = 0; i < kBinsPerThread; ++i) {
      shared.mass_of[own + i] += before.mass;
      shared.count_of[own + i] += before.count;
    }
    __syncthreads();
  }

  // The sums up to a bin; 0 before the first one.
  __device__ Sums through(int bin) const {
    return bin < 0 ? Sums{0, 0} : Sums{shared.mass_of[bin], shared.count_of[bin]};
  }

  // The bin in which a walk to this mass, or to this number of tokens, ends.
  __device__ int find_bin(double mass, int count) const {
    if (threadIdx.x == 0) shared.bin = bins() - 1;
    __syncthreads();
    const int own = kBinsPerThread * static_cast<int>(threadIdx.x);
    for (int bin = own; bin < own + kBinsPerThread; ++bin) {
      if (reaches(through(bin), mass, count) && !reaches(through(bin - 1), mass, count)) shared.bin = bin;
    }
    __syncthreads();
    const int bin = shared.bin;
    __syncthreads();  // before the next search
    return bin;
  }

  static __device__ bool reaches(Sums sums, double mass, int count) {
    return static_cast<double>(sums.mass) >= mass || sums.count >= count;
  }

  // Holds the tokens of three ranges of bins, with the sums before each: each thread takes some tokens and adds up
  // those of their bins that come before.
  __device__ void hold(const Bins& top_k, const Bins& top_p, const Bins& sample) const {
    if (threadIdx.x == 0) shared.held = 0, shared.mass = 0, shared.token = -1;
    __syncthreads();
    for_each([&](int token, float logit) {
      const float of_token = weight(logit);
      if (!(of_token > 0)) return;
      const int bin = bin_of(logit);
      if (!top_k.has(bin) && !top_p.has(bin) && !sample.has(bin)) return;
      const int at = atomicAdd(&shared.held, 1);
      if (at >= kMostHeld) return;  // the logits have changed meanwhile
      shared.logits[at] = logit;
      shared.weights[at] = of_token;
      shared.tokens[at] = token;
    });
    __syncthreads();
    const int held = min(shared.held, kMostHeld);
    for (int i = static_cast<int>(threadIdx.x); i < held; i += static_cast<int>(blockDim.x)) {
      const float logit = shared.logits[i];
      const int token = shared.tokens[i], bin = bin_of(logit);
      Sums sums = through(bin - 1);
      for (int j = 0; j < held; ++j) {
        const float other = shared.logits[j];
        const bool earlier = other > logit || (other == logit && shared.tokens[j] < token);
        if (!earlier || bin_of(other) != bin) continue;
        sums.mass += static_cast<unsigned long long>(shared.weights[j]);
        ++sums.count;
      }
      shared.before[i] = sums;
    }
    __syncthreads();
  }

  // Walks until weights sum to `mass`, or the number of tokens is `count`: sets shared.mass, the sum up to the token
  // where it ends, and shared.token.
  __device__ void walk_held(double mass, int count) const {
    const int held = min(shared.held, kMostHeld);
    for (int i = static_cast<int>(threadIdx.x); i < held; i += static_cast<int>(blockDim.x)) {
      const Sums before = shared.before[i];
      const Sums to{before.mass + static_cast<unsigned long long>(shared.weights[i]), before.count + 1};
      if (!reaches(to, mass, count) || reaches(before, mass, count)) continue;
      shared.mass = static_cast<double>(to.mass);  // one thread finds it
      shared.token = shared.tokens[i];
    }
    __syncthreads();
  }

  // Walks down the keys of the tokens until their weights sum to `mass`, or their number is `count`.
  __device__ WalkEnd walk(double mass, int count) const {
    __syncthreads();  // all have read the sums of before
    if (threadIdx.x == 0) {
      shared.key = 0;
      shared.above = {0, 0};
    }
    for (int shift = kKeyBits - kDigitBits; shift >= 0; shift -= kDigitBits) {
      for (int digit = static_cast<int>(threadIdx.x); digit < kDigits; digit += static_cast<int>(blockDim.x)) {
        shared.mass_of[digit] = 0;
        shared.count_of[digit] = 0;
      }
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < classes; i += static_cast<int>(blockDim.x)) {
        const float logit = __ldg(logits + i);
        const uint32_t digits = key_of(logit) >> shift, leading = shared.key >> shift;
        if (digits / kDigits != leading / kDigits) continue;
        const float own = weight(logit);
        if (!(own > 0)) continue;
        atomicAdd(&shared.mass_of[digits % kDigits], static_cast<unsigned long long>(own));
        atomicAdd(&shared.count_of[digits % kDigits], 1);
      }
      __syncthreads();
      if (threadIdx.x == 0) descend(shift, mass, count);
      __syncthreads();
    }
    const uint32_t key = shared.key;
    const Sums above = shared.above, equal = through(static_cast<int>(key % kDigits));
    const double own = static_cast<double>(equal.mass) / static_cast<double>(equal.count);
    const double left = ceil((mass - static_cast<double>(above.mass)) / own);
    const double wanted = fmin(left, static_cast<double>(count - above.count));
    return {key, static_cast<double>(above.mass) + wanted * own, static_cast<int>(wanted)};
  }

  // Appends to the key the digit at `shift` in which the walk ends.
  __device__ void descend(int shift, double mass, int count) const {
    uint32_t digit = kDigits - 1;
    for (; digit > 0; --digit) {
      const Sums to{shared.above.mass + shared.mass_of[digit], shared.above.count + shared.count_of[digit]};
      if (reaches(to, mass, count)) break;
      shared.above = to;
    }
    shared.key |= digit << shift;
  }

  // The `equal`-th token, from 1 on, with this key. Only the thread that finds it writes it.
  __device__ void find(uint32_t key, int equal, int32_t* token) const {
    int before = 0;
    for (int first = 0; first < classes && before < equal; first += static_cast<int>(blockDim.x)) {
      const int i = first + static_cast<int>(threadIdx.x);
      const int own = i < classes && key_of(__ldg(logits + i)) == key;
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
  MOE_DYNAMIC_SHARED(Shared, memory, sizeof(Shared));
  Shared& shared = *memory;
  const int64_t number = blockIdx.x;
  const RowSampling settings = row_sampling(temperature, min_p, top_p, top_k, uniform, number);
  if (threadIdx.x == 0) tokens[number] = -1;  // barriers order this before the token's write
  if (!settings.in_range()) return;

  Row row{logits + number * classes, classes, 0, 0, 0, 0, shared};
  float best = -FLT_MAX, least = FLT_MAX;
  int wrong = 0;
  row.for_each([&](int, float logit) {
    best = fmaxf(best, logit);
    least = fminf(least, logit);
    wrong += !(fabsf(logit) <= FLT_MAX);
  });
  row.best = block_max(best, shared.peaks);
  if (block_sum(wrong, shared.counts) > 0) return;
  if (settings.temperature == 0) {
    row.find(key_of(row.best), 1, tokens + number);
    return;
  }
  least = -block_max(-least, shared.peaks);  // a barrier lies between the two uses of the table

  row.inverse_temperature = 1.0f / settings.temperature;
  row.least = settings.least_weight();
  const float width = fminf(row.best - least, kWidest * settings.temperature);
  row.bins_per_logit = width > 0 ? fminf(static_cast<float>(row.bins()) / width, FLT_MAX) : 0;
  row.fill_bins();
  const Sums all = row.through(row.bins() - 1);
  double low = static_cast<double>(all.mass), high = low;  // bounds of the remaining tokens' weight
  int most = 0;                                            // tokens to hold
  const auto narrow = [&](double least_mass, double most_mass, int count) {
    Bins bins;
    bins.first = bins.last = row.find_bin(least_mass, count);
    if (most_mass > least_mass) bins.last = row.find_bin(most_mass, count);
    const Sums before = row.through(bins.first - 1), to = row.through(bins.last);
    low = static_cast<double>(before.mass);
    high = static_cast<double>(to.mass);
    most += to.count - before.count;
    return bins;
  };
  const bool by_count = settings.top_k > 0 && settings.top_k < all.count, by_mass = settings.top_p < 1;
  Bins of_top_k, of_top_p;
  if (by_count) of_top_k = narrow(INFINITY, INFINITY, settings.top_k);
  if (by_mass) of_top_p = narrow(settings.top_p_mass(low), settings.top_p_mass(high), INT_MAX);
  const Bins of_sample = narrow(settings.sampled_mass(low), settings.sampled_mass(high), INT_MAX);

  double mass = static_cast<double>(all.mass);
  if (most > kMostHeld) {
    if (by_count) mass = row.walk(INFINITY, settings.top_k).mass;
    if (by_mass) mass = row.walk(settings.top_p_mass(mass), INT_MAX).mass;
    const WalkEnd end = row.walk(settings.sampled_mass(mass), INT_MAX);
    row.find(end.key, end.equal, tokens + number);
    return;
  }
  row.hold(of_top_k, of_top_p, of_sample);
  if (by_count) row.walk_held(INFINITY, settings.top_k), mass = shared.mass;
  __syncthreads();
  if (by_mass) row.walk_held(settings.top_p_mass(mass), INT_MAX), mass = shared.mass;
  __syncthreads();
  row.walk_held(settings.sampled_mass(mass), INT_MAX);
  if (threadIdx.x == 0) tokens[number] = shared.token;
}

}  // namespace

void sample(Stream& stream, const moe_sampling& sampling, Tensor logits) {
  Launcher launch(stream);
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  launch(sample_kernel, static_cast<unsigned>(rows), row_threads(classes, 1, kHeld, kMostThreads), sizeof(Shared),
         data<float>(logits), static_cast<int>(classes), data<float>(sampling.temperature), data<float>(sampling.min_p),
         data<float>(sampling.top_p), data<int32_t>(sampling.top_k), data<double>(sampling.uniform),
         data<int32_t>(sampling.tokens));
}

}  // namespace moe::cuda
