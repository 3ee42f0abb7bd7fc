// Attention with a bias by relative position: against its definition in float64, and bits independent of other rows.
#include <cstring>

#include "test/attention_reference.h"

namespace moe::testing {
namespace {

// Two sequences in slots 2 and 0 of a cache with blocks of 8 positions, one query per position.
class AttentionBiasedTest : public KernelTest {
 protected:
  static constexpr int64_t kLength = 70, kBlock = 8, kBlocks = 9, kHeads = 4, kGroups = 2, kReach = 20;

  struct Case {
    moe_dtype dtype;
    int64_t head_size;
    Tensor q, k, v, bias, keys, values, table, slot, position;

    Case(moe_dtype type, int64_t size)
        : dtype(type),
          head_size(size),
          q(Tensor::random(type, {2 * kLength, kHeads, size}, 1)),
          k(Tensor::random(type, {2 * kLength, kGroups, size}, 2)),
          v(Tensor::random(type, {2 * kLength, kGroups, size}, 3)),
          bias(Tensor::random(MOE_FLOAT32, {2 * kReach + 1, kHeads}, 4, -3, 3)),
          keys(type, {2 * kBlocks, kBlock, kGroups, size}),
          values(type, {2 * kBlocks, kBlock, kGroups, size}),
          table(MOE_INT32, {3, kBlocks}),
          slot(MOE_INT32, {2 * kLength}),
          position(MOE_INT32, {2 * kLength}) {
      keys.fill(NAN);
      values.fill(NAN);
      table.fill(-1);
      for (int64_t i = 0; i < kBlocks; ++i) {
        table.set(2 * kBlocks + i, static_cast<double>((5 * i) % kBlocks));
        table.set(i, static_cast<double>(kBlocks + (2 * i) % kBlocks));
      }
      for (int64_t row = 0; row < 2 * kLength; ++row) {
        slot.set(row, row < kLength ? 2 : 0);
        position.set(row, static_cast<double>(row % kLength));
      }
    }
  };

  // The row at `position` of a sequence, if it sees the keys 0 to `last`.
  static std::vector<double> expected(const Case& c, int64_t row, int64_t last) {
    const int64_t D = c.head_size, first = row / kLength * kLength, i = row % kLength;
    std::vector<double> out(static_cast<size_t>(kHeads * D), 0);
    for (int64_t h = 0; h < kHeads; ++h) {
      const auto key = [&](int64_t j) { return ((first + j) * kGroups + h / (kHeads / kGroups)) * D; };
      std::vector<double> weight(static_cast<size_t>(last + 1));
      double sum = 0;
      for (int64_t j = 0; j <= last; ++j) {
        double score = c.bias[(std::clamp(j - i, -kReach, kReach) + kReach) * kHeads + h];
        for (int64_t e = 0; e < D; ++e) score += 0.5 * c.q[(row * kHeads + h) * D + e] * c.k[key(j) + e];
        sum += weight[static_cast<size_t>(j)] = std::exp(score);
      }
      for (int64_t j = 0; j <= last; ++j) {
        for (int64_t e = 0; e < D; ++e) out[h * D + e] += weight[static_cast<size_t>(j)] / sum * c.v[key(j) + e];
      }
    }
    return out;
  }

  void append(const Case& c) {
    ASSERT_MOE_OK(moe_cache_append(stream, c.k, c.v, cache_places(c.keys, c.values, c.table, c.slot, c.position)));
  }
};

TEST_F(AttentionBiasedTest, FollowsItsDefinition) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {5, 12, 64}) {
      const Case c(dtype, head_size);
      append(c);
      for (bool whole : {false, true}) {  // as a decoder sees, and as an encoder
        Tensor last(MOE_INT32, {2 * kLength}), out(dtype, {2 * kLength, kHeads, head_size});
        std::vector<double> all;
        for (int64_t row = 0; row < 2 * kLength; ++row) {
          const int64_t seen = whole ? kLength - 1 : row % kLength;
          last.set(row, static_cast<double>(seen));
          const std::vector<double> one = expected(c, row, seen);
          all.insert(all.end(), one.begin(), one.end());
        }
        ASSERT_MOE_OK(moe_attention_biased(triple, attention_config(0.5f), relative_bias(c.bias, c.position), c.q,
                                           cache_places(c.keys, c.values, c.table, c.slot, last), out));
        expect_near(out, all, dtype == MOE_FLOAT32 ? 2e-5 : 0.02, dtype == MOE_FLOAT32 ? 1e-5 : 0.01);
      }
    }
  }
}

TEST_F(AttentionBiasedTest, ARowHasTheSameBitsAloneAndAmongOthers) {
  const Case c(MOE_FLOAT32, 12);
  append(c);
  const auto run = [&](moe_stream on, const moe_tensor* q, View slot, View position, const moe_tensor* out) {
    ASSERT_MOE_OK(moe_attention_biased(on, attention_config(1), relative_bias(c.bias, position), q,
                                       cache_places(c.keys, c.values, c.table, slot, position), out));
  };
  const Tensor out(MOE_FLOAT32, {2 * kLength, kHeads, 12});
  run(triple, c.q, c.slot, c.position, out);
  for (int64_t row : {0, 1, 31, 32, 69, 70, 103, 139}) {
    Tensor q(MOE_FLOAT32, {1, kHeads, 12}), alone(MOE_FLOAT32, {1, kHeads, 12}), slot(MOE_INT32, {1}),
        position(MOE_INT32, {1});
    for (int64_t e = 0; e < kHeads * 12; ++e) q.set(e, c.q[row * kHeads * 12 + e]);
    slot.set(0, c.slot[row]);
    position.set(0, c.position[row]);
    run(single, q, slot, position, alone);
    EXPECT_EQ(std::memcmp(alone.data<float>(), out.data<float>() + row * kHeads * 12, kHeads * 12 * sizeof(float)), 0)
        << row;
  }
}

TEST_F(AttentionBiasedTest, RefusesWhatDoesNotFit) {
  const Case c(MOE_FLOAT32, 4);
  append(c);
  const Tensor out(MOE_FLOAT32, {2 * kLength, kHeads, 4});
  const auto run = [&](View bias, View position, const moe_tensor* into) {
    return moe_attention_biased(stream, attention_config(1), relative_bias(bias, position), c.q,
                                cache_places(c.keys, c.values, c.table, c.slot, c.position), into);
  };
  EXPECT_MOE_OK(run(c.bias, c.position, out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias has 4 rows, expected 2R + 1",
                     run(Tensor(MOE_FLOAT32, {4, kHeads}), c.position, out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias has shape", run(Tensor(MOE_FLOAT32, {3, 2}), c.position, out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias.position has shape", run(c.bias, Tensor(MOE_INT32, {3}), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias is null", run(nullptr, c.position, out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias is null",
                     moe_attention_biased(stream, attention_config(1), nullptr, c.q,
                                          cache_places(c.keys, c.values, c.table, c.slot, c.position), out));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "config.soft_cap is 5 with a bias, expected 0",
      moe_attention_biased(stream, attention_config(1, 0, MOE_CAUSAL, 5), relative_bias(c.bias, c.position), c.q,
                           cache_places(c.keys, c.values, c.table, c.slot, c.position), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "out and q share memory", run(c.bias, c.position, c.q));
}

}  // namespace
}  // namespace moe::testing
