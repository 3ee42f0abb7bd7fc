// The backward of flash attention (FlashAttention-2, arXiv 2307.08691): weights are recomputed from logsumexp, tile by
// tile. With P the weights [L, L] of a head and dP = dout v^T, the gradient of the scores is dS = P * (dP - delta),
// delta = rowsum(dout * out); then dv = P^T dout, dk = scale dS^T q, dq = scale dS k [L, D].
// A sink's weight is exp(sink - logsumexp) and its dP is 0: dsinks[h] += -sum_{b,i} exp(sinks[h] - logsumexp) delta.
// Tested and timed by: panamoe_test --gtest_filter='AttentionTest*'; attention_bench --only backward
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/attention/backward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <cmath>

#include "cpu/attention/tile-inl.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline constexpr float kOne = 1;

// Turns scores into the weights P and dweights (dP) into dS, in the columns [first, last). With a soft cap, dS is the
// gradient of the scores before it. kPairs: a row's values are rounded to bfloat16, in its words from first / 2 on;
// by_keys [words(keys), kQueries] receives dS by pairs of keys.
template <bool kPairs>
void score_gradient(float* scores, float* dweights, int64_t keys, int64_t first, int64_t last, const float* logsumexp,
                    const float* delta, float cap, [[maybe_unused]] float* by_keys) {
  const FloatTag d;
  const auto weigh = [&](int64_t r, int64_t c, FloatVector& gradient) __attribute__((always_inline)) {
    const int64_t at = r * kQueries + c;
    const FloatVector score = hn::LoadU(d, scores + at);
    const FloatVector weight = softmax_exp2(hn::Sub(score, hn::LoadU(d, logsumexp + c)));
    gradient = hn::Mul(weight, hn::Sub(hn::LoadU(d, dweights + at), hn::LoadU(d, delta + c)));
    if (cap > 0) {  // a masked score is -inf; NaN stays NaN, which Highway's Ne finds equal
      const auto unseen = hn::Eq(weight, hn::Zero(d));
      gradient = hn::IfThenZeroElse(unseen, hn::Mul(gradient, soft_cap_slope(score, hn::Set(d, cap))));
    }
    return weight;
  };
  if constexpr (kPairs) {
    const HalfTag dh;
    const auto round_row = [&](int64_t r, int64_t c) __attribute__((always_inline)) {
      FloatVector left, right;
      const FloatVector weight = weigh(r, c, left);
      const auto weights = round_both(weight, weigh(r, c + lanes(), right)), gradients = round_both(left, right);
      hn::StoreU(weights, dh, reinterpret_cast<uint16_t*>(scores + r * kQueries) + c);
      hn::StoreU(gradients, dh, reinterpret_cast<uint16_t*>(dweights + r * kQueries) + c);
      return gradients;
    };
    for (int64_t r = 0; r < keys; r += 2, by_keys += kQueries) {
      for (int64_t c = first; c < last; c += 2 * lanes()) {
        const auto even = round_row(r, c), odd = r + 1 < keys ? round_row(r + 1, c) : hn::Zero(dh);
        hn::StoreU(hn::InterleaveWholeLower(dh, even, odd), dh, reinterpret_cast<uint16_t*>(by_keys + c));
        hn::StoreU(hn::InterleaveWholeUpper(dh, even, odd), dh, reinterpret_cast<uint16_t*>(by_keys + c + lanes()));
      }
    }
  } else {
    for (int64_t r = 0; r < keys; ++r) {
      for (int64_t c = first; c < last; c += lanes()) {
        FloatVector gradient;
        hn::StoreU(weigh(r, c, gradient), d, scores + r * kQueries + c);
        hn::StoreU(gradient, d, dweights + r * kQueries + c);
      }
    }
  }
}

// The dot product of the first rows of a and b.
inline float dot(HeadRows a, HeadRows b, int64_t head_size) {
  const FloatTag d;
  FloatVector sum = hn::Zero(d);
  for_each_vector(d, 0, head_size, [&](int64_t c, size_t n) {
    sum = hn::MulAdd(a.tensor.load(d, a.start + c, n), b.tensor.load(d, b.start + c, n), sum);
  });
  return hn::ReduceSum(d, sum);
}

// The gradient of one head's sink, summed over sequences and tokens in order.
void sink_gradient(Tensor sinks, Tensor out, Tensor logsumexp, Tensor dout, int64_t head, Tensor dsinks) {
  const int64_t sequences = out.shape[0], length = out.shape[1], heads = out.shape[2], head_size = out.shape[3];
  const float sink = static_cast<const float*>(sinks.data)[head];
  double sum = 0;
  for (int64_t b = 0; b < sequences; ++b) {
    const float* sums = static_cast<const float*>(logsumexp.data) + (b * heads + head) * length;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t row = ((b * length + i) * heads + head) * head_size;
      sum -= std::exp(sink - sums[i]) * dot({Floats(dout), row, 0}, {Floats(out), row, 0}, head_size);
    }
  }
  static_cast<float*>(dsinks.data)[head] += static_cast<float>(sum);
}

// One sequence's key/value head and the query heads that share it.
struct Group {
  int64_t length, heads, head_size;
  const moe_attention_config& config;
  HeadRows q, out, dout, dq;  // of the first query head; the next one is head_size elements further
  HeadRows k, v, dk, dv;
  const float* logsumexp;  // [heads, length]
};

inline int64_t group_scratch(int64_t length, int64_t head_size) {
  const int64_t width = whole_vectors(head_size);
  return 2 * length * width + 7 * kQueries * width + 3 * kKeys * width + 3 * kKeys * kQueries + 2 * kQueries;
}

// dk and dv are summed over query heads, then query tiles, always in this order and by one thread.
template <bool kPairs>
void backward_group(const Group& group, float* scratch) {
  const int64_t length = group.length, head_size = group.head_size, width = whole_vectors(head_size);
  const int64_t row = row_words<kPairs>(head_size), inner = words<kPairs>(head_size);
  const float factor = group.config.scale * kLog2E;
  const float cap = group.config.soft_cap * kLog2E;
  Tiles tiles(scratch);
  float* dk = tiles.take(length * width);
  float* dv = tiles.take(length * width);
  float* q_rows = tiles.take(kQueries * width);
  float* q_columns = tiles.take(width * kQueries);  // [row, kQueries]
  float* dout_rows = tiles.take(kQueries * width);
  float* dout_columns = tiles.take(width * kQueries);
  float* dq_columns = tiles.take(width * kQueries);
  float* k_rows = tiles.take(kKeys * width);
  float* v_rows = tiles.take(kKeys * width);
  float* scores = tiles.take(kKeys * kQueries);    // then weights
  float* dweights = tiles.take(kKeys * kQueries);  // then dscores
  float* logsumexp = tiles.take(kQueries);
  float* delta = tiles.take(kQueries);
  // Operands whose inner dimension is rows (queries or keys): [words(rows), width]; dscores [words(keys), kQueries].
  float* q_words = kPairs ? tiles.take(kQueries * width) : q_rows;
  float* dout_words = kPairs ? tiles.take(kQueries * width) : dout_rows;
  float* k_words = kPairs ? tiles.take(kKeys * width) : k_rows;
  float* dscore_words = kPairs ? tiles.take(kKeys * kQueries) : dweights;
  std::fill_n(dk, length * width, 0.0f);
  std::fill_n(dv, length * width, 0.0f);

  for (int64_t head = 0; head < group.heads; ++head) {
    const auto of_head = [&](const HeadRows& rows) {
      return HeadRows{rows.tensor, rows.start + head * head_size, rows.stride};
    };
    for (int64_t first_query = 0; first_query < length; first_query += kQueries) {
      const KeyRange range = KeyRange::of(group.config, first_query, std::min(kQueries, length - first_query), length);
      const int64_t queries = range.queries, columns = kPairs ? 2 * row_words<true>(queries) : whole_vectors(queries);
      const HeadRows out = of_head(group.out).from(first_query), dout = of_head(group.dout).from(first_query);
      load_rows<kPairs>(of_head(group.q).from(first_query), queries, head_size, columns, q_rows);
      load_rows<kPairs>(dout, queries, head_size, columns, dout_rows);
      transpose(q_rows, row, columns, row, q_columns, kQueries);
      transpose(dout_rows, row, columns, row, dout_columns, kQueries);
      if constexpr (kPairs) {
        pair_rows(q_rows, columns, head_size, q_words);
        pair_rows(dout_rows, columns, head_size, dout_words);
      }
      for (const HeadRows& x : {of_head(group.dq), group.dk, group.dv}) {
        prefetch_rows(x, first_query, length, head_size);
      }
      // The next tile's rows, and the keys that it is the first to see if there is a causal mask.
      for (const HeadRows& x : {of_head(group.q), of_head(group.out), of_head(group.dout), group.k, group.v}) {
        prefetch_rows(x, first_query + kQueries, length, head_size);
      }
      std::fill_n(dq_columns, width * kQueries, 0.0f);
      std::fill_n(logsumexp, kQueries, 0.0f);
      std::fill_n(delta, kQueries, 0.0f);
      for (int64_t i = 0; i < queries; ++i) {
        logsumexp[i] = group.logsumexp[head * length + first_query + i] * kLog2E;
        delta[i] = dot(dout.from(i), out.from(i), head_size);
      }

      for (int64_t block = range.begin(); block < range.end; block += kKeys) {
        const int64_t keys = range.keys(block), first = range.first_column(block), from = words<kPairs>(first);
        const int64_t terms = words<kPairs>(queries) - from;  // of sums over queries
        load_rows<kPairs>(group.k.from(block), keys, head_size, kPairs ? kKeys : keys, k_rows);
        load_rows<kPairs>(group.v.from(block), keys, head_size, keys, v_rows);
        if constexpr (kPairs) pair_rows(k_rows, keys, head_size, k_words);
        product<Start::kScaledProduct, kPairs>(keys, columns - first, inner, {k_rows, row, 1}, q_columns + first,
                                               kQueries, scores + first, kQueries, &factor);
        product<Start::kScaledProduct, kPairs>(keys, columns - first, inner, {v_rows, row, 1}, dout_columns + first,
                                               kQueries, dweights + first, kQueries, &kOne);
        cap_scores(scores + first, keys, columns - first, kQueries, cap);
        if (range.masked(block)) mask_scores(scores, range, block, first, columns);
        score_gradient<kPairs>(scores, dweights, keys, first, columns, logsumexp, delta, cap, dscore_words);
        product<Start::kSum, kPairs>(keys, width, terms, {scores + from, kQueries, 1}, dout_words + from * width, width,
                                     dv + block * width, width);
        product<Start::kSum, kPairs>(keys, width, terms, {dweights + from, kQueries, 1}, q_words + from * width, width,
                                     dk + block * width, width);
        product<Start::kSum, kPairs>(width, columns - first, words<kPairs>(keys), {k_words, 1, width},
                                     dscore_words + first, kQueries, dq_columns + first, kQueries);
      }
      transpose(dq_columns, kQueries, width, columns, q_rows, width);
      store_rows(q_rows, group.config.scale, queries, head_size, of_head(group.dq).from(first_query));
    }
  }
  store_rows(dk, group.config.scale, length, head_size, group.dk);
  store_rows(dv, 1.0f, length, head_size, group.dv);
}

void backward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
              Tensor logsumexp, Tensor dout, const moe_attention_gradients& to) {
  const int64_t sequences = out.shape[0], length = out.shape[1], heads = out.shape[2], head_size = out.shape[3];
  const int64_t groups = in.k->shape[2], shared = heads / groups;
  const LocalScratch<float> scratch(stream, group_scratch(length, head_size));
  const int64_t nanoseconds = sequences * heads * length * length * head_size / 8;
  parallel_tasks(stream, sequences * groups, nanoseconds, [&](int64_t task, int member) {
    const int64_t sequence = task / groups, index = task % groups;
    const auto query_rows = [&](Tensor tensor) {
      return HeadRows{Floats(tensor), (sequence * length * heads + index * shared) * head_size, heads * head_size};
    };
    const auto key_rows = [&](Tensor tensor) {
      return HeadRows{Floats(tensor), (sequence * length * groups + index) * head_size, groups * head_size};
    };
    const float* sums = static_cast<const float*>(logsumexp.data) + (sequence * heads + index * shared) * length;
    const Group group{length,
                      shared,
                      head_size,
                      config,
                      query_rows(*in.q),
                      query_rows(out),
                      query_rows(dout),
                      query_rows(*to.dq),
                      key_rows(*in.k),
                      key_rows(*in.v),
                      key_rows(*to.dk),
                      key_rows(*to.dv),
                      sums};
    with_pairs(out.dtype == MOE_BFLOAT16, [&](auto pairs) { backward_group<pairs>(group, scratch[member]); });
  });
  if (in.sinks == nullptr) return;
  parallel_tasks(stream, heads, sequences * heads * length * (head_size / 8 + 10),
                 [&](int64_t head, int) { sink_gradient(*in.sinks, out, logsumexp, dout, head, *to.dsinks); });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
HWY_EXPORT(backward);
void attention_backward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
                        Tensor logsumexp, Tensor dout, const moe_attention_gradients& to) {
  HWY_DYNAMIC_DISPATCH(backward)(stream, config, in, out, logsumexp, dout, to);
}
}  // namespace moe::cpu
#endif
