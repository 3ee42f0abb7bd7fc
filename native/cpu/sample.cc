// Samples tokens from rows of logits; moe/sample.h defines the sampling.
//
// One thread samples a row. Candidates are the tokens of enough weight. A walk down their order to a given sum of
// weights, or to a given count, does not sort: like quickselect it splits the candidates at a logit, sums what is
// above, and goes on in the part where the walk ends. Sums are exact, so the split points do not change the token.
// Test: panamoe_test --gtest_filter='Sample*'. Time: ./panamoe bench decode-batch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/sample.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <algorithm>
#include <limits>

#include "core/sampling.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

constexpr int64_t kPadding = hn::MaxLanes(FloatTag());  // CompressStore may write whole vectors
constexpr int64_t kSorted = 32;                         // up to this many candidates are sorted
constexpr int64_t kNanoseconds = 1;                     // per logit, an estimate that decides how many threads work

// Some tokens of a row, in token order.
struct Candidates {
  float *logits, *weights;
  int32_t* tokens;
  int64_t count;

  Candidates(float* memory, int64_t classes)
      : logits(memory),
        weights(memory + classes + kPadding),
        tokens(reinterpret_cast<int32_t*>(weights + classes + kPadding)),
        count(0) {}
  static int64_t floats(int64_t classes) { return 3 * (classes + kPadding); }

  template <typename Mask>
  HWY_INLINE void add(Mask mask, FloatVector logit, FloatVector weight, hn::Vec<hn::RebindToSigned<FloatTag>> token) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> di;
    if (hn::AllFalse(d, mask)) return;
    hn::CompressStore(logit, mask, d, logits + count);
    hn::CompressStore(weight, mask, d, weights + count);
    count += static_cast<int64_t>(hn::CompressStore(token, hn::RebindMask(di, mask), di, tokens + count));
  }
};

// A sum of whole numbers in float32, exact in float64.
class ExactSum {
 public:
  ExactSum() : low_(hn::Zero(Doubles())), high_(hn::Zero(Doubles())) {}
  HWY_INLINE void add(FloatVector x) {
    low_ = hn::Add(low_, hn::PromoteLowerTo(Doubles(), x));
    high_ = hn::Add(high_, hn::PromoteUpperTo(Doubles(), x));
  }
  double total() const { return hn::ReduceSum(Doubles(), hn::Add(low_, high_)); }

 private:
  using Doubles = hn::Repartition<double, FloatTag>;
  hn::Vec<Doubles> low_, high_;
};

class RowSampler {
 public:
  // `memory` has room for floats() of them.
  RowSampler(const float* logits, int64_t classes, float* memory)
      : logits_(logits),
        classes_(classes),
        all_(memory, classes),
        part_(memory + Candidates::floats(classes), classes) {}
  static int64_t floats(int64_t classes) { return 2 * Candidates::floats(classes); }

  int32_t sample(const RowSampling& row) {
    if (!row.in_range() || !find_best()) return -1;
    if (row.temperature == 0) return first_best();
    weigh(1 / row.temperature, row.least_weight());
    double mass = mass_;
    if (row.top_k > 0 && row.top_k < all_.count) mass = walk(std::numeric_limits<double>::infinity(), row.top_k);
    if (row.top_p < 1) mass = walk(row.top_p_mass(mass), all_.count);
    walk(row.sampled_mass(mass), all_.count);
    return token_;
  }

 private:
  // Lanes past the row are the lowest float, which is not better than any logit.
  HWY_INLINE FloatVector logits(int64_t i, size_t n) const {
    const FloatTag d;
    const FloatVector x = load(d, logits_ + i, n);
    return n == hn::Lanes(d) ? x
                             : hn::IfThenElse(hn::FirstN(d, n), x, hn::Set(d, std::numeric_limits<float>::lowest()));
  }

  // False if a logit is not finite.
  bool find_best() {
    const FloatTag d;
    FloatVector best = hn::Set(d, std::numeric_limits<float>::lowest()), zero = hn::Zero(d);
    for_each_vector(d, 0, classes_, [&](int64_t i, size_t n) {
      const FloatVector x = logits(i, n);
      best = hn::Max(best, x);
      zero = hn::MulAdd(x, hn::Zero(d), zero);  // NaN from the first non-finite number on
    });
    best_ = hn::ReduceMax(d, best);
    return hn::AllTrue(d, hn::Eq(zero, hn::Zero(d)));
  }

  int32_t first_best() const {
    const FloatTag d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t i = 0; i < classes_; i += lanes) {
      const auto n = static_cast<size_t>(std::min(lanes, classes_ - i));
      const intptr_t lane = hn::FindFirstTrue(d, hn::Eq(logits(i, n), hn::Set(d, best_)));
      if (lane >= 0) return static_cast<int32_t>(i + lane);
    }
    return -1;  // another thread is changing the logits
  }

  // Makes candidates of the tokens whose weight is at least `least`.
  void weigh(float inverse_temperature, float least) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> di;
    ExactSum mass;
    FloatVector lowest = hn::Set(d, best_);
    for_each_vector(d, 0, classes_, [&](int64_t i, size_t n) {
      const FloatVector x = logits(i, n);
      const FloatVector relative = hn::Mul(hn::Sub(x, hn::Set(d, best_)), hn::Set(d, inverse_temperature));
      const FloatVector weight = hn::Round(hn::Mul(softmax_exp(relative), hn::Set(d, kWholeWeight)));
      auto mask = hn::Ge(weight, hn::Set(d, least));
      if (n < hn::Lanes(d)) mask = hn::And(mask, hn::FirstN(d, n));
      mass.add(hn::IfThenElseZero(mask, weight));
      lowest = hn::Min(lowest, hn::IfThenElse(mask, x, hn::Set(d, best_)));
      all_.add(mask, x, weight, hn::Iota(di, static_cast<int32_t>(i)));
    });
    mass_ = mass.total();
    lowest_ = hn::ReduceMin(d, lowest);
  }

  // Walks down the order of the candidates until their weights sum to `mass`, or their number is `count`. Stores that
  // token and returns the sum of weights up to it.
  double walk(double mass, int64_t count) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> di;
    const Candidates* from = &all_;
    float low = lowest_, high = best_;
    double above = 0;
    int64_t passed = 0;
    while (from->count > kSorted && low < high) {
      float pivot = std::max(0.5f * low + 0.5f * high, low);
      if (!(pivot < high)) pivot = low;
      const FloatVector split = hn::Set(d, pivot);
      ExactSum upper;
      size_t more = 0;
      for_each_vector(d, 0, from->count, [&](int64_t i, size_t n) {
        auto mask = hn::Gt(load(d, from->logits + i, n), split);
        if (n < hn::Lanes(d)) mask = hn::And(mask, hn::FirstN(d, n));
        upper.add(hn::IfThenElseZero(mask, load(d, from->weights + i, n)));
        more += hn::CountTrue(d, mask);
      });
      const double sum = upper.total();
      const bool up = above + sum >= mass || passed + static_cast<int64_t>(more) >= count;
      if (!up) {
        above += sum;
        passed += static_cast<int64_t>(more);
      }
      // If `from` is `part_` itself, writes stay at or before what has been read.
      const int64_t size = from->count;
      FloatVector least = hn::Set(d, high), most = hn::Set(d, low);
      part_.count = 0;
      for_each_vector(d, 0, size, [&](int64_t i, size_t n) {
        const FloatVector x = load(d, from->logits + i, n), weight = load(d, from->weights + i, n);
        const auto token = n == hn::Lanes(d) ? hn::LoadU(di, from->tokens + i) : hn::LoadN(di, from->tokens + i, n);
        auto mask = up ? hn::Gt(x, split) : hn::Le(x, split);
        if (n < hn::Lanes(d)) mask = hn::And(mask, hn::FirstN(d, n));
        least = hn::Min(least, hn::IfThenElse(mask, x, least));
        most = hn::Max(most, hn::IfThenElse(mask, x, most));
        part_.add(mask, x, weight, token);
      });
      from = &part_;
      low = hn::ReduceMin(d, least);
      high = hn::ReduceMax(d, most);
    }
    return above + end(*from, mass - above, count - passed);
  }

  // Ends a walk among few or equal candidates by sorting them.
  double end(const Candidates& few, double mass, int64_t count) {
    for (int64_t i = 0; i < few.count; ++i) {
      const float logit = few.logits[i], weight = few.weights[i];
      const int32_t token = few.tokens[i];
      int64_t at = i;
      for (; at > 0 && part_.logits[at - 1] < logit; --at) {
        part_.logits[at] = part_.logits[at - 1];
        part_.weights[at] = part_.weights[at - 1];
        part_.tokens[at] = part_.tokens[at - 1];
      }
      part_.logits[at] = logit;
      part_.weights[at] = weight;
      part_.tokens[at] = token;
    }
    double sum = 0;
    for (int64_t i = 0; i < std::min(few.count, count) && sum < mass; ++i) {
      sum += part_.weights[i];
      token_ = part_.tokens[i];
    }
    return sum;
  }

  const float* logits_;
  int64_t classes_;
  Candidates all_, part_;  // candidates of the row, and of the current walk
  float best_ = 0, lowest_ = 0;
  double mass_ = 0;
  int32_t token_ = -1;
};

void sample_rows(Stream& stream, const moe_sampling& sampling, Tensor logits) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  const LocalScratch<float> scratch(stream, RowSampler::floats(classes));
  const auto* temperature = static_cast<const float*>(sampling.temperature->data);
  const auto* min_p = static_cast<const float*>(sampling.min_p->data);
  const auto* top_p = static_cast<const float*>(sampling.top_p->data);
  const auto* top_k = static_cast<const int32_t*>(sampling.top_k->data);
  const auto* uniform = static_cast<const double*>(sampling.uniform->data);
  auto* tokens = static_cast<int32_t*>(sampling.tokens->data);
  parallel_tasks(stream, rows, rows * classes * kNanoseconds, [&](int64_t row, int member) {
    RowSampler sampler(static_cast<const float*>(logits.data) + row * classes, classes, scratch[member]);
    tokens[row] = sampler.sample(row_sampling(temperature, min_p, top_p, top_k, uniform, row));
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(sample_rows);

void sample(Stream& stream, const moe_sampling& sampling, Tensor logits) {
  HWY_DYNAMIC_DISPATCH(sample_rows)(stream, sampling, logits);
}

}  // namespace moe::cpu
#endif
