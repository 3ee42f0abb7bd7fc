// The gate in float64 by one-hot tables, without blocks or fusion; and a function that runs the kernel.
#pragma once

#include <algorithm>
#include <numeric>
#include <optional>

#include "test/testing.h"

namespace moe::testing {

inline moe_gate_config gate_config(int32_t top_k) {
  moe_gate_config config{};
  config.struct_size = sizeof(config);
  EXPECT_MOE_OK(moe_gate_config_default(&config));
  config.top_k = top_k;
  return config;
}

struct GateInput {
  GateInput(int64_t tokens, int64_t experts, const moe_gate_config& config)
      : tokens(tokens), experts(experts), config(config), logits(MOE_FLOAT32, {tokens, experts}) {}

  int64_t tokens, experts;
  moe_gate_config config;
  Tensor logits;
  std::optional<Tensor> used, bias, noise, priority;

  bool is_used(int64_t s) const { return !used || (*used)[s] != 0; }
};

struct GateOutput {
  explicit GateOutput(const GateInput& in)
      : scores(MOE_FLOAT32, {in.tokens, in.experts}),
        weight(MOE_FLOAT32, {in.tokens, in.config.top_k}),
        losses(MOE_FLOAT32, {2}),
        expert(MOE_INT32, {in.tokens, in.config.top_k}),
        position(MOE_INT32, {in.tokens, in.config.top_k}),
        choice(MOE_INT32, {in.tokens, in.config.top_k}),
        counts(MOE_INT32, {in.experts}),
        offsets(MOE_INT32, {in.experts + 1}) {}
  Tensor scores, weight, losses, expert, position, choice, counts, offsets;
};

// Expects equal bits, except in the losses, which a kernel may sum in another order.
inline void expect_same_routes(const GateOutput& a, const GateOutput& b) {
  expect_same_bits(a.scores, b.scores, "scores");
  expect_same_bits(a.weight, b.weight, "weight");
  expect_same_bits(a.expert, b.expert, "expert");
  expect_same_bits(a.position, b.position, "position");
  expect_same_bits(a.choice, b.choice, "choice");
  expect_same_bits(a.counts, b.counts, "counts");
  expect_same_bits(a.offsets, b.offsets, "offsets");
}

inline const moe_tensor* view(const std::optional<Tensor>& tensor) {
  return tensor ? static_cast<const moe_tensor*>(*tensor) : nullptr;
}

inline moe_status run_gate(moe_stream stream, const GateInput& in, const GateOutput& out) {
  return moe_gate_forward(
      stream, &in.config, gate_inputs(in.logits, view(in.used), view(in.bias), view(in.noise), view(in.priority)),
      all_routes(out.scores, out.expert, out.position, out.weight, out.choice, out.counts, out.offsets, out.losses));
}

struct GateReference {
  std::vector<double> scores, weight, losses;
  std::vector<double> expert, position, choice, counts, offsets;
};

inline std::vector<double> reference_scores(const GateInput& in, const std::vector<double>& logits, int64_t s) {
  std::vector<double> row(logits.begin() + s * in.experts, logits.begin() + (s + 1) * in.experts);
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double x : row) sum += std::exp(x - largest);
  for (double& x : row) x = in.config.score == MOE_SOFTMAX ? std::exp(x - largest) / sum : 1 / (1 + std::exp(-x));
  return row;
}

inline double reference_logsumexp(const GateInput& in, const std::vector<double>& logits, int64_t s) {
  double sum = 0;
  for (int64_t e = 0; e < in.experts; ++e) sum += std::exp(logits[s * in.experts + e]);
  return std::log(sum);
}

// The experts of token s, best first.
inline std::vector<int64_t> reference_choice(const GateInput& in, const std::vector<double>& scores, int64_t s) {
  const int64_t size = in.experts / in.config.groups;
  std::vector<double> key = scores;
  for (int64_t e = 0; in.bias && e < in.experts; ++e) key[e] += (*in.bias)[e];
  std::vector<double> group_score;
  for (int64_t g = 0; g < in.config.groups; ++g) {
    std::vector<double> members(key.begin() + g * size, key.begin() + (g + 1) * size);
    std::sort(members.rbegin(), members.rend());
    const bool pair = in.config.group_score == MOE_GROUP_TOP2_SUM && size > 1;
    group_score.push_back(pair ? members[0] + members[1] : members[0]);
  }
  std::vector<int64_t> groups(in.config.groups);
  std::iota(groups.begin(), groups.end(), 0);
  std::stable_sort(groups.begin(), groups.end(), [&](int64_t a, int64_t b) { return group_score[a] > group_score[b]; });
  groups.resize(in.config.chosen_groups);
  std::vector<int64_t> chosen;
  for (int32_t c = 0; c < in.config.top_k; ++c) {
    const bool noisy = in.noise && c >= in.config.noise_first_choice;
    int64_t best = -1;
    double best_key = 0;
    for (int64_t e = 0; e < in.experts; ++e) {
      if (std::count(chosen.begin(), chosen.end(), e) || !std::count(groups.begin(), groups.end(), e / size)) continue;
      const int64_t i = s * in.experts + e;
      const double k = noisy ? in.logits[i] + (*in.noise)[i] : key[e];
      if (best < 0 || k > best_key) best = e, best_key = k;
    }
    chosen.push_back(best);
  }
  return chosen;
}

// Weights [S, K] and losses for a fixed table of routes, which the backward differentiates.
inline void reference_weigh(const GateInput& in, const std::vector<double>& logits, GateReference& out) {
  const moe_gate_config& config = in.config;
  const int64_t choices = config.top_k;
  std::vector<double> mean_score(in.experts), mean_chosen(in.experts);
  double used = 0, z = 0;
  for (int64_t s = 0; s < in.tokens; ++s) used += in.is_used(s);
  out.scores.assign(in.tokens * in.experts, 0);
  out.weight.assign(in.tokens * choices, 0);
  for (int64_t s = 0; s < in.tokens; ++s) {
    if (!in.is_used(s)) continue;
    const std::vector<double> score = reference_scores(in, logits, s);
    std::copy(score.begin(), score.end(), out.scores.begin() + s * in.experts);
    const double* expert = &out.expert[s * choices];
    const double* choice = &out.choice[s * choices];
    double sum = config.denominator_offset;
    for (int64_t c = 0; c < choices; ++c) {
      const double counted = config.normalization == MOE_CHOSEN ? choice[c] : expert[c];
      if (counted >= 0) sum += score[static_cast<size_t>(counted)];
      if (c < config.auxiliary_choices) mean_chosen[static_cast<size_t>(choice[c])] += 1 / used;
    }
    const double bounded = std::max<double>(sum, config.normalization_epsilon);
    const double denominator = config.normalization == MOE_RAW ? 1 : bounded;
    for (int64_t c = 0; c < choices; ++c) {
      if (expert[c] >= 0) {
        out.weight[s * choices + c] = config.weight_scale * score[static_cast<size_t>(expert[c])] / denominator;
      }
    }
    for (int64_t e = 0; e < in.experts; ++e) mean_score[e] += score[e] / used;
    z += std::pow(reference_logsumexp(in, logits, s), 2) / used;
  }
  double auxiliary = 0;
  for (int64_t e = 0; e < in.experts; ++e) auxiliary += mean_score[e] * mean_chosen[e];
  out.losses = {auxiliary * static_cast<double>(in.experts) / config.auxiliary_choices, z};
}

inline GateReference reference_gate(const GateInput& in) {
  const moe_gate_config& config = in.config;
  const int64_t choices = config.top_k;
  const std::vector<double> logits = values_of(in.logits);
  GateReference out;
  out.expert.assign(in.tokens * choices, -1);
  out.position = out.choice = out.expert;
  out.counts.assign(in.experts, 0);
  out.offsets.assign(in.experts + 1, 0);
  for (int64_t s = 0; s < in.tokens; ++s) {
    if (!in.is_used(s)) continue;
    const auto chosen = reference_choice(in, reference_scores(in, logits, s), s);
    std::copy(chosen.begin(), chosen.end(), out.choice.begin() + s * choices);
  }
  std::vector<int64_t> order(in.tokens * choices);  // of routes
  std::iota(order.begin(), order.end(), 0);
  if (config.queue_order == MOE_CHOICE_MAJOR) {
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return a % choices < b % choices; });
  }
  for (int64_t e = 0; e < in.experts; ++e) {
    std::vector<int64_t> queue;
    for (int64_t route : order) {
      if (out.choice[route] == static_cast<double>(e)) queue.push_back(route);
    }
    out.counts[e] = static_cast<double>(queue.size());
    std::vector<int64_t> ranked = queue;
    const auto rank = [&](int64_t route) {
      const int64_t s = route / choices;
      if (config.drop_policy == MOE_DROP_PRIORITY) return (*in.priority)[s * in.experts + e];
      const std::vector<double> scores = reference_scores(in, logits, s);
      if (config.drop_policy == MOE_DROP_PROBABILITY) return scores[e];
      // Scores are at most 1: a whole choice comes before the next.
      const int64_t lane = config.queue_order == MOE_CHOICE_MAJOR ? route % choices : 0;
      return *std::max_element(scores.begin(), scores.end()) - 2 * static_cast<double>(lane);
    };
    if (config.drop_policy >= MOE_DROP_PROBABILITY) {
      std::stable_sort(ranked.begin(), ranked.end(), [&](int64_t a, int64_t b) { return rank(a) > rank(b); });
    }
    if (config.drop_policy != MOE_DROPLESS) ranked.resize(std::min<int64_t>(config.capacity, ranked.size()));
    int64_t next = 0;
    for (int64_t route : queue) {
      if (!std::count(ranked.begin(), ranked.end(), route)) continue;
      out.expert[route] = static_cast<double>(e);
      out.position[route] = static_cast<double>(next++);
    }
    out.offsets[e + 1] = out.offsets[e] + static_cast<double>(next);
  }
  reference_weigh(in, logits, out);
  return out;
}

// A seeded case over every option of the gate.
inline GateInput random_gate(uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
  };
  const int64_t groups = pick(0, 3) == 0 ? pick(2, 4) : 1;
  const int64_t experts = groups * pick(1, groups == 1 ? 40 : 9);
  const int64_t tokens = pick(0, 3) == 0 ? pick(0, 3) : pick(1, 200);
  GateInput in(tokens, experts, gate_config(1));
  moe_gate_config& config = in.config;
  config.groups = static_cast<int32_t>(groups);
  config.chosen_groups = static_cast<int32_t>(pick(1, groups));
  config.group_score = static_cast<int32_t>(pick(0, 1));
  config.top_k = static_cast<int32_t>(pick(1, std::min<int64_t>(5, experts / groups * config.chosen_groups)));
  config.score = static_cast<int32_t>(pick(0, 1));
  config.drop_policy = static_cast<int32_t>(pick(MOE_DROPLESS, MOE_DROP_BEST_SCORE));
  config.queue_order = static_cast<int32_t>(pick(0, 1));
  config.normalization = static_cast<int32_t>(pick(0, 2));
  config.capacity = pick(0, 2 * tokens * config.top_k / experts + 2);
  config.auxiliary_choices = pick(0, 1) == 0 ? 1 : config.top_k;
  config.noise_first_choice = static_cast<int32_t>(pick(0, config.top_k));
  config.weight_scale = pick(0, 1) == 0 ? 1.0f : 2.5f;
  config.denominator_offset = pick(0, 1) == 0 ? 0.0f : 1e-20f;
  in.logits = Tensor::random(MOE_FLOAT32, {tokens, experts}, seed + 1, -3, 3);
  const int64_t extra = pick(0, 2);
  if (extra == 1) in.bias = Tensor::random(MOE_FLOAT32, {experts}, seed + 2, -0.5, 0.5);
  if (extra == 2) in.noise = Tensor::random(MOE_FLOAT32, {tokens, experts}, seed + 3, -2, 2);
  if (config.drop_policy == MOE_DROP_PRIORITY) {
    in.priority = Tensor::random(MOE_FLOAT32, {tokens, experts}, seed + 4, 0, 1);
  }
  if (pick(0, 1) == 1) {
    in.used = Tensor(MOE_UINT8, {tokens});
    for (int64_t s = 0; s < tokens; ++s) in.used->set(s, pick(0, 3) != 0);
  }
  return in;
}

}  // namespace moe::testing
