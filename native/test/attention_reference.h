// Attention in float64, query by query, from its definition.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "test/structs.h"
#include "test/testing.h"

namespace moe::testing {

struct AttentionShape {
  int64_t sequences, length, heads, groups, head_size, window;
  moe_mask mask = MOE_CAUSAL;
  float soft_cap = 0;
};

inline std::string text(const AttentionShape& s) {
  return "B " + std::to_string(s.sequences) + ", L " + std::to_string(s.length) + ", H " + std::to_string(s.heads) +
         ", G " + std::to_string(s.groups) + ", D " + std::to_string(s.head_size) + ", window " +
         std::to_string(s.window) +
         (s.mask == MOE_FULL      ? ", full"
          : s.mask == MOE_CHUNKED ? ", chunked"
                                  : "") +
         (s.soft_cap > 0 ? ", cap " + std::to_string(s.soft_cap) : "");
}

struct AttentionReference {
  std::vector<double> out, logsumexp, dq, dk, dv, dsinks;
};

// dout, if given, asks for the gradients of sum(dout * out).
inline AttentionReference reference_attention(const AttentionShape& s, const Tensor& queries, const Tensor& keys,
                                              const Tensor& values, const Tensor* sinks, double scale,
                                              const Tensor* dout = nullptr) {
  const int64_t D = s.head_size;
  const std::vector<double> q = values_of(queries), k = values_of(keys), v = values_of(values);
  const std::vector<double> dy = dout == nullptr ? std::vector<double>() : values_of(*dout);
  AttentionReference result;
  result.out.assign(q.size(), 0);
  result.logsumexp.assign(static_cast<size_t>(s.sequences * s.heads * s.length), 0);
  result.dq.assign(q.size(), 0);
  result.dk.assign(k.size(), 0);
  result.dv.assign(v.size(), 0);
  result.dsinks.assign(static_cast<size_t>(s.heads), 0);
  for (int64_t b = 0; b < s.sequences; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t g = h / (s.heads / s.groups);
      const auto query = [&](int64_t i) { return ((b * s.length + i) * s.heads + h) * D; };
      const auto key = [&](int64_t j) { return ((b * s.length + j) * s.groups + g) * D; };
      for (int64_t i = 0; i < s.length; ++i) {
        const int64_t begin = s.window == 0           ? 0
                              : s.mask == MOE_CHUNKED ? i / s.window * s.window
                                                      : std::max<int64_t>(0, i - s.window + 1);
        const int64_t end = s.mask == MOE_FULL ? s.length : i + 1;
        std::vector<double> weight(static_cast<size_t>(end), 0), slope(weight.size(), 1);
        const double sink = sinks == nullptr ? -std::numeric_limits<double>::infinity() : (*sinks)[h];
        double peak = sink;
        for (int64_t j = begin; j < end; ++j) {
          for (int64_t c = 0; c < D; ++c) weight[j] += scale * q[query(i) + c] * k[key(j) + c];
          if (s.soft_cap > 0) {
            weight[j] = s.soft_cap * std::tanh(weight[j] / s.soft_cap);
            slope[j] = 1 - std::pow(weight[j] / s.soft_cap, 2);
          }
          peak = std::max(peak, weight[j]);
        }
        double sum = std::exp(sink - peak);
        for (int64_t j = begin; j < end; ++j) sum += weight[j] = std::exp(weight[j] - peak);
        result.logsumexp[(b * s.heads + h) * s.length + i] = peak + std::log(sum);
        double delta = 0;
        for (int64_t j = begin; j < end; ++j) {
          weight[j] /= sum;
          for (int64_t c = 0; c < D; ++c) result.out[query(i) + c] += weight[j] * v[key(j) + c];
        }
        if (dout == nullptr) continue;
        for (int64_t c = 0; c < D; ++c) delta += dy[query(i) + c] * result.out[query(i) + c];
        result.dsinks[h] -= std::exp(sink - peak) / sum * delta;
        for (int64_t j = begin; j < end; ++j) {
          double dweight = 0;
          for (int64_t c = 0; c < D; ++c) dweight += dy[query(i) + c] * v[key(j) + c];
          const double dscore = scale * slope[j] * weight[j] * (dweight - delta);
          for (int64_t c = 0; c < D; ++c) {
            result.dq[query(i) + c] += dscore * k[key(j) + c];
            result.dk[key(j) + c] += dscore * q[query(i) + c];
            result.dv[key(j) + c] += weight[j] * dy[query(i) + c];
          }
        }
      }
    }
  }
  return result;
}

}  // namespace moe::testing
