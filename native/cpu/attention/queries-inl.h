// Flash attention (FlashAttention-2, Dao, arXiv 2307.08691) of a tile of consecutive queries of one head: one pass over
// keys with a running maximum m and sum l of weights exp(s - m). A sink (GPT-OSS, github.com/openai/gpt-oss) is a key
// without a value that every query sees first: m starts as its logit and l as 1.
// Lanes are queries, so nothing is ever summed across lanes. kPairs: weights are rounded to bfloat16 for their product
// with values, by pairs of keys from even positions on. Part of each Highway target.
// Tested by panamoe_test --gtest_filter='Attention*'; timed by attention_bench.
#if defined(MOE_CPU_ATTENTION_QUERIES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ATTENTION_QUERIES_INL_H
#undef MOE_CPU_ATTENTION_QUERIES_INL_H
#else
#define MOE_CPU_ATTENTION_QUERIES_INL_H
#endif

#include <cmath>

#include "cpu/attention/paged-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline int64_t query_scratch(int64_t head_size) {
  const int64_t width = whole_vectors(head_size);
  return 3 * kQueries * width + 3 * kKeys * width + kKeys * kQueries + 3 * kQueries;
}

// The running maximum, times log2(e), and sum before the first key.
struct SoftmaxStart {
  float maximum = std::numeric_limits<float>::lowest();
  float sum = 0;

  // The sink of query head `head`, if there are sinks [H].
  static SoftmaxStart of(OptionalTensor sinks, int64_t head) {
    if (sinks == nullptr) return {};
    // At least the lowest float, because the difference of two infinities is NaN.
    const float sink = static_cast<const float*>(sinks->data)[head] * kLog2E;
    return {std::max(sink, std::numeric_limits<float>::lowest()), 1};
  }
};

// Words of the lanes of a and b, rounded to bfloat16.
HWY_INLINE FloatVector pair_lanes(FloatVector a, FloatVector b) {
  const HalfTag dh;
  const auto word = hn::Iota(dh, 0), half = hn::Set(dh, static_cast<uint16_t>(lanes()));
  const auto order = hn::Add(hn::ShiftRight<1>(word), hn::IfThenElseZero(hn::TestBit(word, hn::Set(dh, 1)), half));
  return hn::BitCast(FloatTag(), hn::TableLookupLanes(round_both(a, b), hn::IndicesFromVec(dh, order)));
}

// Replaces a block of scores [keys, kQueries] by weights [words(keys), kQueries] relative to the maximum so far.
// Updates maximum and sum, and sets `decay`, the factor by which earlier sums shrink.
template <bool kPairs>
void softmax_step(float* scores, int64_t keys, int64_t first, int64_t last, float* maximum, float* sum, float* decay) {
  const FloatTag d;
  for (int64_t c = first; c < last; c += lanes()) {
    const FloatVector before = hn::LoadU(d, maximum + c);
    FloatVector peak = before;
    for (int64_t r = 0; r < keys; ++r) peak = hn::Max(peak, hn::LoadU(d, scores + r * kQueries + c));
    const FloatVector shrink = softmax_exp2(hn::Sub(before, peak));
    FloatVector total = hn::Mul(hn::LoadU(d, sum + c), shrink);
    const auto weigh = [&](int64_t r) {
      const FloatVector weight = softmax_exp2(hn::Sub(hn::LoadU(d, scores + r * kQueries + c), peak));
      total = hn::Add(total, weight);
      return weight;
    };
    float* to = scores + c;
    if constexpr (kPairs) {
      for (int64_t r = 0; r < keys; r += 2, to += kQueries) {
        const FloatVector even = weigh(r);
        hn::StoreU(pair_lanes(even, r + 1 < keys ? weigh(r + 1) : hn::Zero(d)), d, to);
      }
    } else {
      for (int64_t r = 0; r < keys; ++r, to += kQueries) hn::StoreU(weigh(r), d, to);
    }
    hn::StoreU(peak, d, maximum + c);
    hn::StoreU(total, d, sum + c);
    hn::StoreU(shrink, d, decay + c);
  }
}

// out = attention of the queries q at positions range.position, ... over keys and values 0, 1, .... logsumexp is null
// or receives one float per query.
template <bool kPairs>
void attend_queries(KeyRange range, SoftmaxStart start, int64_t head_size, const moe_attention_config& config,
                    HeadRows q, const PagedRows& keys, const PagedRows& values, HeadRows out, float* logsumexp,
                    float* scratch) {
  const FloatTag d;
  const int64_t width = whole_vectors(head_size), columns = whole_vectors(range.queries);
  const int64_t row = row_words<kPairs>(head_size);
  const float factor = config.scale * kLog2E;
  Tiles tiles(scratch);
  float* rows = tiles.take(kQueries * width);     // queries; outputs at the end
  float* queries = tiles.take(width * kQueries);  // [row, kQueries]
  float* sums = tiles.take(width * kQueries);     // [width, kQueries], weighted sums of values
  float* key_rows = tiles.take(kKeys * width);
  float* value_rows = tiles.take(kKeys * width);
  float* value_words = kPairs ? tiles.take(kKeys * width) : value_rows;  // [words(keys), width]
  float* scores = tiles.take(kKeys * kQueries);
  float* maximum = tiles.take(kQueries);
  float* total = tiles.take(kQueries);
  float* decay = tiles.take(kQueries);

  load_rows<kPairs>(q, range.queries, head_size, columns, rows);
  transpose(rows, row, columns, row, queries, kQueries);
  std::fill_n(sums, width * kQueries, 0.0f);
  std::fill_n(maximum, kQueries, start.maximum);
  std::fill_n(total, kQueries, start.sum);

  for (int64_t block = range.begin(); block < range.end; block += kKeys) {
    const int64_t count = range.keys(block), first = range.first_column(block);
    // Keys before the window may be gone from the cache: zeros replace them, and their weights are 0.
    const int64_t hidden = std::max<int64_t>(0, range.first_seen() - block);
    std::fill_n(key_rows, hidden * row, 0.0f);
    std::fill_n(value_rows, hidden * row, 0.0f);
    load_rows<kPairs>(keys, block + hidden, block + count, head_size, key_rows + hidden * row);
    load_rows<kPairs>(values, block + hidden, block + count, head_size, value_rows + hidden * row);
    if constexpr (kPairs) {
      if (count % 2 != 0) std::fill_n(value_rows + count * row, row, 0.0f);
      pair_rows(value_rows, count, head_size, value_words);
    }
    product<Start::kScaledProduct, kPairs>(count, columns - first, words<kPairs>(head_size), {key_rows, row, 1},
                                           queries + first, kQueries, scores + first, kQueries, &factor);
    cap_scores(scores + first, count, columns - first, kQueries, config.soft_cap * kLog2E);
    if (range.masked(block)) mask_scores(scores, range, block, first, columns);
    softmax_step<kPairs>(scores, count, first, columns, maximum, total, decay);
    product<Start::kScaledSum, kPairs>(width, columns - first, words<kPairs>(count), {value_words, 1, width},
                                       scores + first, kQueries, sums + first, kQueries, decay + first);
  }

  for (int64_t c = 0; c < columns; c += lanes()) {
    const FloatVector share = hn::Div(hn::Set(d, 1.0f), hn::LoadU(d, total + c));
    for (int64_t r = 0; r < width; ++r) {
      hn::StoreU(hn::Mul(hn::LoadU(d, sums + r * kQueries + c), share), d, sums + r * kQueries + c);
    }
  }
  transpose(sums, kQueries, width, columns, rows, width);
  store_rows(rows, 1.0f, range.queries, head_size, out);
  if (logsumexp != nullptr) {
    for (int64_t i = 0; i < range.queries; ++i) logsumexp[i] = maximum[i] / kLog2E + std::log(total[i]);
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
