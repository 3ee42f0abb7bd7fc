#include "moe/sample.h"

#include "core/check.h"

namespace moe {
namespace {

constexpr int64_t kMostClasses = 1 << 21;  // weights are at most 2^32, and float64 holds whole numbers up to 2^53

}  // namespace
}  // namespace moe

moe_status moe_sample(moe_stream stream, const moe_sampling* sampling, const moe_tensor* logits, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_sampling own = moe::check_struct("sampling", sampling);
    const moe_tensor& scores = moe::check_tensor("logits", logits, moe::kFloat32Only, {moe::kAny, moe::kAny});
    const int64_t rows = scores.shape[0], classes = scores.shape[1];
    if (classes < 1 || classes > moe::kMostClasses) {
      moe::invalid("there are ", classes, " classes, expected 1 to ", moe::kMostClasses);
    }
    moe::check_tensor("temperature", own.temperature, moe::kFloat32Only, {rows});
    moe::check_tensor("min_p", own.min_p, moe::kFloat32Only, {rows});
    moe::check_tensor("top_k", own.top_k, moe::kInt32Only, {rows});
    moe::check_tensor("top_p", own.top_p, moe::kFloat32Only, {rows});
    moe::check_tensor("uniform", own.uniform, moe::kFloat64Only, {rows});
    moe::check_tensor("tokens", own.tokens, moe::kInt32Only, {rows});
    moe::check_written({{"tokens", own.tokens}}, {{"logits", logits},
                                                  {"temperature", own.temperature},
                                                  {"min_p", own.min_p},
                                                  {"top_k", own.top_k},
                                                  {"top_p", own.top_p},
                                                  {"uniform", own.uniform}});
    MOE_CALL(stream, sample, own, scores);
  });
}
