// Load balance of the gate's tokens over the experts: sums over each of G sequences, and the gradient of the
// load-balancing loss (Switch Transformer, arXiv 2101.03961, equation 4; per sequence: DeepSeek-V3, arXiv 2412.19437,
// equations 17 to 20).
//
//   p = score, or score / sum_e score if normalized;  P[g, e] = sum_s p[s, e];  chosen[g, e] counts choices of e
//   loss_g = E / (choices used_g^2) sum_e chosen[g, e] P[g, e];  d[g, e] is its derivative by each p[s, e]
//   dlogit = p log_slope(score) (d - mean),  mean = sum_e d p for a softmax or normalized score, else 0
//   entropy_g = -sum_s sum_e q ln q,  q = score / sum_e score
//
// scores, dlogits [S, E]; choice [S, K]; a sequence has S / G tokens. Sums are float64 over blocks of tokens within a
// sequence, added in order, so they do not depend on the threads. A token whose scores are all 0 has no distribution:
// its terms are 0.
// Test: panamoe_test --gtest_filter='Balance*'. Time: ./panamoe bench balance.
#include <algorithm>

#include "core/batch_parts.h"
#include "cpu/indices.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gate/balance.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "hwy/contrib/math/math-inl.h"

#include "cpu/gate/score-inl.h"

#ifndef MOE_CPU_BALANCE_SEQUENCES
#define MOE_CPU_BALANCE_SEQUENCES
namespace moe::cpu {
namespace {

constexpr int64_t kTokenBlock = 64;  // tokens of a partial sum; fixes the order of sums
constexpr int64_t kGrain = 8192;     // scores that are worth waking a thread for

// Blocks of tokens; a block lies within one sequence.
struct Sequences {
  int64_t count, length, blocks;  // blocks per sequence

  Sequences(int64_t tokens, int64_t sequences)
      : count(sequences),
        length(sequences == 0 ? 0 : tokens / sequences),
        blocks((length + kTokenBlock - 1) / kTokenBlock) {}

  int64_t begin(int64_t block) const { return block / blocks * length + block % blocks * kTokenBlock; }
  int64_t end(int64_t block) const { return std::min(begin(block) + kTokenBlock, (block / blocks + 1) * length); }
};

// Sums of each block: scores, chosen [blocks, E]; used, entropy [blocks].
struct BlockSums {
  double* scores;
  int32_t* chosen;
  int32_t* used;
  double* entropy;  // or null
};

}  // namespace
}  // namespace moe::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

using DoubleTag = hn::ScalableTag<double>;

template <typename Body>
HWY_INLINE void for_each_double(const float* x, int64_t count, Body&& body) {
  const DoubleTag d;
  const hn::Rebind<float, DoubleTag> half;
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) { body(i, n, hn::PromoteTo(d, load(half, x + i, n))); });
}

double sum_of(const float* x, int64_t count) {
  const DoubleTag d;
  auto sum = hn::Zero(d);
  for_each_double(x, count, [&](int64_t, size_t, auto value) { sum = hn::Add(sum, value); });
  return hn::ReduceSum(d, sum);
}

// The entropy of x / total. Lanes past the row hold 0 and add 0.
double entropy_of(const float* x, double total, int64_t count) {
  const DoubleTag d;
  const auto scale = hn::Set(d, 1 / total);
  auto sum = hn::Zero(d);
  for_each_double(x, count, [&](int64_t, size_t, auto value) {
    const auto share = hn::Mul(value, scale);
    sum = hn::Add(sum, hn::IfThenElseZero(hn::Gt(share, hn::Zero(d)), hn::Mul(share, hn::Log(d, share))));
  });
  return -hn::ReduceSum(d, sum);
}

void sum_block(const moe_balance_config& config, Tensor scores, Tensor choice, int64_t begin, int64_t end,
               int64_t block, const BlockSums& sums) {
  const DoubleTag d;
  const int64_t experts = scores.shape[1], choices = choice.shape[1];
  double* total = sums.scores + block * experts;
  int32_t* chosen = sums.chosen + block * experts;
  std::fill_n(total, experts, 0.0);
  std::fill_n(chosen, experts, 0);
  int32_t used = 0;
  double entropy = 0;
  for (int64_t s = begin; s < end; ++s) {
    const auto* of_token = static_cast<const int32_t*>(choice.data) + s * choices;
    if (of_token[0] < 0) continue;
    ++used;
    for (int64_t c = 0; c < config.auxiliary_choices; ++c) {
      if (of_token[c] >= 0) ++chosen[of_token[c]];
    }
    const auto* row = static_cast<const float*>(scores.data) + s * experts;
    const double sum = config.normalized != 0 || sums.entropy != nullptr ? sum_of(row, experts) : 1;
    if (sum == 0) continue;
    if (sums.entropy != nullptr) entropy += entropy_of(row, sum, experts);
    const auto scale = hn::Set(d, config.normalized != 0 ? 1 / sum : 1);
    for_each_double(row, experts, [&](int64_t e, size_t n, auto value) {
      if (n == hn::Lanes(d)) {
        hn::StoreU(hn::MulAdd(value, scale, hn::LoadU(d, total + e)), d, total + e);
      } else {
        hn::StoreN(hn::MulAdd(value, scale, hn::LoadN(d, total + e, n)), d, total + e, n);
      }
    });
  }
  sums.used[block] = used;
  if (sums.entropy != nullptr) sums.entropy[block] = entropy;
}

// The gradient of one token; `slope` [E] is dL/dp.
void token_backward(const moe_balance_config& config, const float* scores, const float* slope, int64_t experts,
                    float* dlogits) {
  const FloatTag d;
  const bool normalized = config.normalized != 0, coupled = normalized || is_softmax(config.score);
  FloatVector totals = hn::Zero(d), products = hn::Zero(d);
  for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
    const FloatVector score = load(d, scores + e, n);
    totals = hn::Add(totals, score);
    products = hn::MulAdd(load(d, slope + e, n), score, products);
  });
  const float total = normalized ? hn::ReduceSum(d, totals) : 1;
  const float inverse = total > 0 ? 1 / total : 0;
  const FloatVector scale = hn::Set(d, inverse);
  const FloatVector mean = hn::Set(d, coupled ? hn::ReduceSum(d, products) * inverse : 0.0f);
  for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
    const FloatVector score = load(d, scores + e, n);
    const FloatVector by_log = hn::Mul(hn::Sub(load(d, slope + e, n), mean), hn::Mul(score, scale));
    store(d, hn::Mul(by_log, log_slope(d, config.score, score)), dlogits + e, n);
  });
}

void backward_tokens(Stream& stream, const moe_balance_config& config, Tensor scores, const float* slopes,
                     int64_t length, Tensor dlogits) {
  const int64_t tokens = scores.shape[0], experts = scores.shape[1];
  parallel_blocks(stream, tokens, kGrain / experts + 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      token_backward(config, static_cast<const float*>(scores.data) + s * experts, slopes + s / length * experts,
                     experts, static_cast<float*>(dlogits.data) + s * experts);
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(sum_block);
HWY_EXPORT(backward_tokens);

void balance_forward(Stream& stream, const moe_balance_config& config, Tensor scores, Tensor choice,
                     const moe_balance_sums& out) {
  const int64_t experts = scores.shape[1];
  const Sequences sequences(scores.shape[0], out.used->shape[0]);
  const int64_t blocks = sequences.count * sequences.blocks;
  const moe_tensor chosen = checked_indices(stream, "choice", choice, -1, experts);
  Arena& arena = stream.arena();
  const BlockSums sums{arena.take<double>(blocks * experts), arena.take<int32_t>(blocks * experts),
                       arena.take<int32_t>(blocks), out.entropy == nullptr ? nullptr : arena.take<double>(blocks)};
  parallel_blocks(stream, blocks, kGrain / (kTokenBlock * experts) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      HWY_DYNAMIC_DISPATCH(sum_block)
      (config, scores, chosen, sequences.begin(block), sequences.end(block), block, sums);
    }
  });
  for (int64_t g = 0; g < sequences.count; ++g) {
    auto* total = static_cast<double*>(out.scores->data) + g * experts;
    auto* counts = static_cast<int32_t*>(out.chosen->data) + g * experts;
    std::fill_n(total, experts, 0.0);
    std::fill_n(counts, experts, 0);
    int32_t used = 0;
    double entropy = 0;
    for (int64_t block = g * sequences.blocks; block < (g + 1) * sequences.blocks; ++block) {
      for (int64_t e = 0; e < experts; ++e) {
        total[e] += sums.scores[block * experts + e];
        counts[e] += sums.chosen[block * experts + e];
      }
      used += sums.used[block];
      if (sums.entropy != nullptr) entropy += sums.entropy[block];
    }
    static_cast<int32_t*>(out.used->data)[g] = used;
    if (out.entropy != nullptr) static_cast<double*>(out.entropy->data)[g] = entropy;
  }
}

void balance_join(Stream&, Tensor parts, const moe_balance_sums& sums, Tensor z) {
  const BatchParts batch{static_cast<const char*>(parts.data), parts.shape[0], sums.chosen->shape[1]};
  for (int64_t e = 0; e < batch.experts; ++e) {
    batch.join(e, static_cast<double*>(sums.scores->data), static_cast<int32_t*>(sums.chosen->data));
  }
  batch.join_tokens(static_cast<int32_t*>(sums.used->data), static_cast<float*>(z.data));
}

void balance_loss(Stream&, const moe_balance_config& config, const moe_balance_sums& sums, int64_t sequences,
                  Tensor loss) {
  const int64_t experts = sums.chosen->shape[1];
  double total = 0;
  for (int64_t g = 0; g < sums.used->shape[0]; ++g) {
    const double used = static_cast<const int32_t*>(sums.used->data)[g];
    const double scale = used > 0 ? static_cast<double>(experts) / (used * used * config.auxiliary_choices) : 0;
    double sum = 0;
    for (int64_t i = g * experts; i < (g + 1) * experts; ++i) {
      sum +=
          static_cast<const int32_t*>(sums.chosen->data)[i] * scale * static_cast<const double*>(sums.scores->data)[i];
    }
    total += sum;
  }
  *static_cast<float*>(loss.data) = static_cast<float>(total / static_cast<double>(sequences));
}

void balance_backward(Stream& stream, const moe_balance_config& config, double dloss, Tensor scores,
                      const moe_balance_sums& sums, Tensor dlogits) {
  const int64_t experts = scores.shape[1];
  const Sequences sequences(scores.shape[0], sums.used->shape[0]);
  auto* slopes = stream.arena().take<float>(sequences.count * experts);
  const auto* counts = static_cast<const int32_t*>(sums.chosen->data);
  for (int64_t g = 0; g < sequences.count; ++g) {
    const double used = static_cast<const int32_t*>(sums.used->data)[g];
    const double scale = used > 0 ? dloss * static_cast<double>(experts) / (config.auxiliary_choices * used * used) : 0;
    for (int64_t i = g * experts; i < (g + 1) * experts; ++i) slopes[i] = static_cast<float>(scale * counts[i]);
  }
  HWY_DYNAMIC_DISPATCH(backward_tokens)(stream, config, scores, slopes, sequences.length, dlogits);
}

}  // namespace moe::cpu
#endif
