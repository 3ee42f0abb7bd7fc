#include "moe/balance.h"

#include "core/batch_parts.h"
#include "core/routes.h"

namespace moe {
namespace {

moe_balance_config check_config(const moe_balance_config* config) {
  const moe_balance_config c = check_struct("config", config);
  check_enum("config.score", c.score, kLastScore);
  check_flag("config.normalized", c.normalized);
  if (c.auxiliary_choices < 1 || c.auxiliary_choices > kMostChoices) {
    invalid("config.auxiliary_choices is ", c.auxiliary_choices, ", expected 1 to ", kMostChoices);
  }
  return c;
}

struct CheckedBalance {
  moe_balance_config config;
  moe_balance_sums sums;
  const moe_tensor& scores;
};

// The tensors about tokens. The length of used [G] is the number of sequences.
CheckedBalance check_balance(const moe_balance_config* config, const moe_tensor* scores, const moe_balance_sums* sums) {
  const moe_balance_config c = check_config(config);
  const int64_t tokens = check_gated("scores", scores).shape[0], experts = scores->shape[1];
  const moe_balance_sums s = check_struct("sums", sums);
  check_tensor("used", s.used, kInt32Only, {kAny});
  const int64_t sequences = s.used->shape[0];
  if (sequences == 0 ? tokens != 0 : tokens % sequences != 0) {
    invalid("scores has ", tokens, " tokens, which are not ", sequences, " equal sequences");
  }
  if (sequences > INT32_MAX) invalid("used has ", sequences, " sequences, expected at most ", INT32_MAX);
  check_tensor("chosen", s.chosen, kInt32Only, {sequences, experts});
  return {c, s, *scores};
}

}  // namespace
}  // namespace moe

moe_status moe_balance_forward(moe_stream stream, const moe_balance_config* config, const moe_tensor* scores,
                               const moe_tensor* choice, const moe_balance_sums* sums, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto [own, out, from] = moe::check_balance(config, scores, sums);
    const int64_t sequences = out.used->shape[0];
    moe::check_tensor("choice", choice, moe::kInt32Only, {from.shape[0], moe::kAny});
    const int64_t choices = choice->shape[1];
    if (choices < own.auxiliary_choices || choices > moe::kMostChoices) {
      moe::invalid("choice has ", choices, " choices a token, expected ", own.auxiliary_choices, " to ",
                   moe::kMostChoices);
    }
    moe::check_tensor("sums.scores", out.scores, moe::kFloat64Only, {sequences, from.shape[1]});
    moe::check_optional("entropy", out.entropy, moe::kFloat64Only, {sequences});
    moe::check_written(
        {{"used", out.used}, {"chosen", out.chosen}, {"sums.scores", out.scores}, {"entropy", out.entropy}},
        {{"scores", scores}, {"choice", choice}});
    MOE_CALL(stream, balance_forward, own, from, *choice, out);
  });
}

moe_status moe_balance_join(moe_stream stream, const moe_tensor* parts, const moe_balance_sums* sums,
                            const moe_tensor* z, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_balance_sums out = moe::check_struct("sums", sums);
    const int64_t experts = moe::check_tensor("chosen", out.chosen, moe::kInt32Only, {1, moe::kAny}).shape[1];
    moe::check_experts("chosen", experts);
    moe::check_tensor("used", out.used, moe::kInt32Only, {1});
    moe::check_tensor("sums.scores", out.scores, moe::kFloat64Only, {1, experts});
    moe::check_tensor("parts", parts, moe::kFloat64Only, {moe::kAny, moe::part_size(experts)});
    moe::check_tensor("z", z, moe::kFloat32Only, {1});
    moe::check_written({{"used", out.used}, {"chosen", out.chosen}, {"sums.scores", out.scores}, {"z", z}},
                       {{"parts", parts}});
    MOE_CALL(stream, balance_join, *parts, out, *z);
  });
}

moe_status moe_balance_loss(moe_stream stream, const moe_balance_config* config, const moe_balance_sums* sums,
                            int64_t sequences, const moe_tensor* loss, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_balance_config own = moe::check_config(config);
    const moe_balance_sums s = moe::check_struct("sums", sums);
    moe::check_tensor("used", s.used, moe::kInt32Only, {moe::kAny});
    moe::check_tensor("chosen", s.chosen, moe::kInt32Only, {s.used->shape[0], moe::kAny});
    moe::check_experts("chosen", s.chosen->shape[1]);
    moe::check_tensor("sums.scores", s.scores, moe::kFloat64Only, {s.used->shape[0], s.chosen->shape[1]});
    if (sequences < 1) moe::invalid("sequences is ", sequences, ", expected at least 1");
    moe::check_tensor("loss", loss, moe::kFloat32Only, {1});
    moe::check_written({{"loss", loss}}, {{"used", s.used}, {"chosen", s.chosen}, {"sums.scores", s.scores}});
    MOE_CALL(stream, balance_loss, own, s, sequences, *loss);
  });
}

moe_status moe_balance_backward(moe_stream stream, const moe_balance_config* config, double dloss,
                                const moe_tensor* scores, const moe_balance_sums* sums, const moe_tensor* dlogits,
                                MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_finite("dloss", dloss);
    const auto [own, table, from] = moe::check_balance(config, scores, sums);
    const moe_tensor& to = moe::check_tensor("dlogits", dlogits, moe::kFloat32Only, {from.shape[0], from.shape[1]});
    moe::check_written({{"dlogits", dlogits}}, {{"scores", scores}, {"used", table.used}, {"chosen", table.chosen}});
    MOE_CALL(stream, balance_backward, own, dloss, from, table, to);
  });
}
