// Kernels whose last block continues alone: how many launches they save, and that tickets do not run out.
#include "test/emulation.h"
#include "test/gate_reference.h"
#include "test/gemm_reference.h"

namespace moe::testing {
namespace {

class EmulatedLastBlockTest : public KernelTest {
 protected:
  template <typename Call>
  uint64_t launches(Call&& call) {
    uint64_t before[3], after[3];
    auto* work = emulation_function<void(uint64_t*)>("simt_work");
    work(before);
    call();
    work(after);
    return after[0] - before[0];
  }
};

TEST_F(EmulatedLastBlockTest, AGateIsTwoLaunchesOrThreeWithRanks) {
  for (int32_t policy :
       {MOE_DROPLESS, MOE_DROP_POSITION, MOE_DROP_PROBABILITY, MOE_DROP_PRIORITY, MOE_DROP_BEST_SCORE}) {
    GateInput in(2100, 8, gate_config(2));
    in.config.drop_policy = policy;
    in.config.capacity = 300;
    in.logits = Tensor::random(MOE_FLOAT32, {2100, 8}, 1);
    in.priority = Tensor::random(MOE_FLOAT32, {2100, 8}, 2);
    const GateOutput out(in);
    const uint64_t expected = policy == MOE_DROPLESS || policy == MOE_DROP_POSITION ? 2 : 3;
    EXPECT_EQ(launches([&] { ASSERT_MOE_OK(run_gate(stream, in, out)); }), expected) << "policy " << policy;
  }
}

// Against a gate of 513 tokens, all but the first of which are padding: that takes two launches.
TEST_F(EmulatedLastBlockTest, AGateOfFewTokensIsOneLaunchWithTheBitsOfTwo) {
  for (const auto& [tokens, experts, order, normalization] : {std::tuple{1, 8, MOE_TOKEN_MAJOR, MOE_RAW},
                                                              {64, 60, MOE_CHOICE_MAJOR, MOE_CHOSEN},
                                                              {512, 256, MOE_TOKEN_MAJOR, MOE_SURVIVORS},
                                                              {500, 256, MOE_CHOICE_MAJOR, MOE_SURVIVORS}}) {
    SCOPED_TRACE(::testing::Message() << tokens << " " << experts);
    GateInput many(513, experts, gate_config(std::min(experts, 9)));
    many.config.queue_order = order;
    many.config.normalization = normalization;
    many.config.drop_policy = tokens == 64 ? MOE_DROPLESS : MOE_DROP_POSITION;
    many.config.capacity = tokens / 50 + 1;
    many.logits = Tensor::random(MOE_FLOAT32, {513, experts}, 3);
    many.used = Tensor(MOE_UINT8, {513});
    for (int64_t s = 0; s < tokens; ++s) many.used->set(s, 1);
    GateInput few(tokens, experts, many.config);
    few.logits = slice(many.logits, 0, tokens);
    const GateOutput by_two(many), by_one(few);
    EXPECT_EQ(launches([&] { ASSERT_MOE_OK(run_gate(stream, many, by_two)); }), 2u);
    EXPECT_EQ(launches([&] { ASSERT_MOE_OK(run_gate(stream, few, by_one)); }), 1u);
    expect_same_bits(by_one.scores, slice(by_two.scores, 0, tokens), "scores");
    expect_same_bits(by_one.weight, slice(by_two.weight, 0, tokens), "weight");
    expect_same_bits(by_one.expert, slice(by_two.expert, 0, tokens), "expert");
    expect_same_bits(by_one.position, slice(by_two.position, 0, tokens), "position");
    expect_same_bits(by_one.counts, by_two.counts, "counts");
    expect_same_bits(by_one.offsets, by_two.offsets, "offsets");
    expect_same_bits(by_one.losses, by_two.losses, "losses");
  }
}

// More than 64 groups of 32 blocks of 32 tokens, so groups have more blocks. Experts alternate, so positions are known.
TEST_F(EmulatedLastBlockTest, AGateCountsAnyNumberOfTokens) {
  constexpr int64_t kTokens = 64 * 32 * 32 + 33;
  GateInput in(kTokens, 2, gate_config(1));
  for (int64_t s = 0; s < kTokens; ++s) in.logits.set(2 * s + s % 2, 1);
  const GateOutput out(in);
  for (int run = 0; run < 2; ++run) {  // the first run must leave the tickets at 0
    ASSERT_MOE_OK(run_gate(stream, in, out));
    for (int64_t s = 0; s < kTokens; ++s) ASSERT_EQ(out.position[s], static_cast<double>(s / 2)) << "token " << s;
    EXPECT_EQ(out.offsets[1], (kTokens + 1) / 2);
    EXPECT_EQ(out.offsets[2], kTokens);
    EXPECT_NEAR(out.losses[0], 1, 1e-3);
  }
}

TEST_F(EmulatedLastBlockTest, SplitsAreAddedByTheirLaunch) {
  const Tensor x = Tensor::random(MOE_BFLOAT16, {33 * 1024, 257}, 1), weight = Tensor::random(MOE_FLOAT32, {1, 257}, 2);
  const Tensor few(MOE_FLOAT32, {70, 1}), all(MOE_FLOAT32, {33 * 1024, 1});
  const auto multiply = [&](const Tensor& rows, const Tensor& y) {
    return launches([&] { ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), rows, weight, y, nullptr)); });
  };
  EXPECT_EQ(multiply(slice(x, 1000, 70), few), 1u);
  EXPECT_EQ(multiply(x, all), 2u);  // 1056 tiles of 32 rows: more than a stream has tickets, so some are cleared first
  expect_same_bits(few, slice(all, 1000, 70), "rows alone");
}

}  // namespace
}  // namespace moe::testing
