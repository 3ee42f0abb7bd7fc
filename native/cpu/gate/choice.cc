// Scores and choice of experts per token (rules 1 to 4 of docs/gating.md): the top-k of score + bias within the best
// groups. With noise, choices after the first use logit + noise. The lowest expert wins a tie.
// Test: panamoe_test --gtest_filter='Gate*'. Time: ./panamoe bench gate.
#include "cpu/gate/choice.h"

#include <cfloat>
#include <cmath>

#include "core/routes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gate/choice.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/gate/score-inl.h"
#include "cpu/simd/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

// Closes an expert: -inf marks one that cannot be chosen (again). Keys of open experts are finite.
HWY_INLINE void close_expert(float* keys, int64_t e) { keys[e] = kMinusInfinity; }

// Returns the expert with the largest key, the lowest of equal ones, and closes it. keys are whole vectors.
HWY_INLINE int32_t take_best(float* keys, int64_t experts) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const FloatVector best = hn::Set(d, row_max(keys, (experts + lanes - 1) / lanes * lanes));
  for (int64_t e = 0; e < experts; e += lanes) {
    const intptr_t lane = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, keys + e), best));
    if (lane >= 0 && e + lane < experts) {
      close_expert(keys, e + lane);
      return static_cast<int32_t>(e + lane);
    }
  }
  close_expert(keys, experts - 1);  // all keys are NaN: another thread changed the logits after the check
  return static_cast<int32_t>(experts - 1);
}

// Closes the keys past the last expert, because keys are read as whole vectors.
HWY_INLINE void close_padding(float* keys, int64_t experts) {
  for (int64_t e = experts, end = (experts + 63) / 64 * 64; e < end; ++e) close_expert(keys, e);
}

// Opens the `chosen_groups` best groups. A group's score is its largest key, or the sum of its two largest; the lowest
// group wins a tie.
void choose_groups(const moe_gate_config& config, const float* keys, int64_t experts, bool* open) {
  const int64_t size = experts / config.groups;
  float score[kMostExperts];
  for (int64_t g = 0; g < config.groups; ++g) {
    float first = kMinusInfinity, second = kMinusInfinity;
    for (int64_t e = g * size; e < (g + 1) * size; ++e) {
      second = std::max(second, std::min(first, keys[e]));
      first = std::max(first, keys[e]);
    }
    score[g] = config.group_score == MOE_GROUP_TOP2_SUM && size > 1 ? first + second : first;
    open[g] = false;
  }
  for (int32_t chosen = 0; chosen < config.chosen_groups; ++chosen) {
    int64_t best = -1;
    for (int64_t g = 0; g < config.groups; ++g) {
      if (!open[g] && (best < 0 || score[g] > score[best])) best = g;
    }
    open[best] = true;
  }
}

void close_groups(const moe_gate_config& config, float* keys, int64_t experts, const bool* open) {
  const int64_t size = experts / config.groups;
  for (int64_t e = 0; e < experts; ++e) {
    if (!open[e / size]) close_expert(keys, e);
  }
}

// Writes the scores of a token and returns the logsumexp of its logits. `keys` is scratch memory.
float score_token(int32_t score, const float* logits, int64_t experts, float* keys, float* scores) {
  const FloatTag d;
  const float largest = row_max(logits, experts);
  const float sum = exp_row(logits, largest, experts, is_softmax(score) ? scores : keys);
  const FloatVector total = hn::Set(d, sum), lowest = hn::Set(d, kMinusInfinity);
  for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
    const FloatVector x = load(d, (is_softmax(score) ? scores : logits) + e, n);
    store(d, is_softmax(score) ? hn::Div(x, total) : hn::IfThenElseZero(hn::Gt(x, lowest), score_of(d, score, x)),
          scores + e, n);
  });
  return largest + std::log(sum);
}

// Chooses the experts of a token, best first.
void choose(const moe_gate_config& config, const float* logits, const float* scores, const float* bias,
            const float* noise, int64_t experts, float* keys, int32_t* choice) {
  const FloatTag d;
  for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
    const FloatVector key = load(d, scores + e, n);
    store(d, bias == nullptr ? key : hn::Add(key, load(d, bias + e, n)), keys + e, n);
  });
  close_padding(keys, experts);
  bool open[kMostExperts];
  const bool grouped = config.groups > config.chosen_groups;
  if (grouped) {
    choose_groups(config, keys, experts, open);
    close_groups(config, keys, experts, open);
  }
  const int32_t clean = noise == nullptr ? config.top_k : config.noise_first_choice;
  for (int32_t c = 0; c < clean; ++c) choice[c] = take_best(keys, experts);
  if (clean == config.top_k) return;
  const FloatVector lowest = hn::Set(d, -FLT_MAX), highest = hn::Set(d, FLT_MAX);
  for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
    const FloatVector noisy = hn::Add(load(d, logits + e, n), load(d, noise + e, n));
    store(d, hn::Min(hn::Max(noisy, lowest), highest), keys + e, n);
  });
  if (grouped) close_groups(config, keys, experts, open);
  for (int32_t c = 0; c < clean; ++c) close_expert(keys, choice[c]);
  for (int32_t c = clean; c < config.top_k; ++c) choice[c] = take_best(keys, experts);
}

void choose_experts_of_block(const GateTokens& tokens, int64_t begin, int64_t end, GateSums& sums) {
  alignas(64) float keys[kMostExperts];
  const int64_t experts = tokens.experts(), choices = tokens.config.top_k;
  const auto* bias = tokens.in.bias == nullptr ? nullptr : static_cast<const float*>(tokens.in.bias->data);
  std::fill(sums.scores, sums.scores + experts, 0.0);
  sums.square_logsumexp = 0;
  sums.used = 0;
  for (int64_t s = begin; s < end; ++s) {
    const auto* logits = static_cast<const float*>(tokens.in.logits->data) + s * experts;
    auto* scores = static_cast<float*>(tokens.scores.data) + s * experts;
    auto* choice = static_cast<int32_t*>(tokens.choice.data) + s * choices;
    if (!tokens.is_used(s)) {
      std::fill(scores, scores + experts, 0.0f);
      std::fill(choice, choice + choices, -1);
      continue;
    }
    const float* noise =
        tokens.in.noise == nullptr ? nullptr : static_cast<const float*>(tokens.in.noise->data) + s * experts;
    const double logsumexp = score_token(tokens.config.score, logits, experts, keys, scores);
    choose(tokens.config, logits, scores, bias, noise, experts, keys, choice);
    for (int64_t e = 0; e < experts; ++e) sums.scores[e] += scores[e];
    sums.square_logsumexp += logsumexp * logsumexp;
    ++sums.used;
  }
}

// x <= FLT_MAX is false for NaN and +inf, which are refused, and true for -inf, which is allowed.
HWY_INLINE bool has_no_upper_bound(const float* x, int64_t count) {
  const FloatTag d;
  bool bounded = true;
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) {
    bounded &= hn::AllTrue(d, hn::Le(load(d, x + i, n), hn::Set(d, FLT_MAX)));
  });
  return !bounded;
}

HWY_INLINE bool has_infinite(const float* x, int64_t count) {
  const FloatTag d;
  bool finite = true;
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) { finite &= hn::AllTrue(d, hn::IsFinite(load(d, x + i, n))); });
  return !finite;
}

int64_t find_refused(const GateTokens& tokens, int64_t begin, int64_t end) {
  const int64_t experts = tokens.experts();
  for (int64_t s = begin; s < end; ++s) {
    if (!tokens.is_used(s)) continue;
    const float* logits = static_cast<const float*>(tokens.in.logits->data) + s * experts;
    if (has_no_upper_bound(logits, experts) || row_max(logits, experts) == kMinusInfinity) return s;
    for (OptionalTensor values : {tokens.in.noise, tokens.in.priority}) {
      if (values != nullptr && has_infinite(static_cast<const float*>(values->data) + s * experts, experts)) return s;
    }
  }
  return end;
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(choose_experts_of_block);
HWY_EXPORT(find_refused);

int64_t find_refused_token(const GateTokens& tokens, int64_t begin, int64_t end) {
  return HWY_DYNAMIC_DISPATCH(find_refused)(tokens, begin, end);
}

void choose_experts(const GateTokens& tokens, int64_t begin, int64_t end, GateSums& sums) {
  HWY_DYNAMIC_DISPATCH(choose_experts_of_block)(tokens, begin, end, sums);
}

}  // namespace moe::cpu
#endif
