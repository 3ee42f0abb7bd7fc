// Attention of whole sequences: out[b,i,h] = sum_j p_j v[b,j,g], p_j = exp(s_j) / (sum_j exp(s_j) + exp(sinks[h])),
// s_j = scale * q[b,i,h] . k[b,j,g], softly capped; q, out [B, L, H, D], k, v [B, L, G, D], sinks [H] or none,
// g = h / (H / G). FlashAttention-2 (arXiv 2307.08691): a task is a tile of queries of one head, see queries-inl.h.
// Tested and timed by: panamoe_test --gtest_filter='Attention*'; attention_bench --only forward
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/attention/forward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/attention/queries-inl.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline constexpr int32_t kFirstBlock = 0;  // block table of a sequence that is one block

void forward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
             OptionalTensor logsumexp) {
  const int64_t *shape = in.q->shape, groups = in.k->shape[2];
  const int64_t sequences = shape[0], length = shape[1], heads = shape[2], head_size = shape[3];
  const int64_t tiles = (length + kQueries - 1) / kQueries;
  const int64_t q_stride = heads * head_size, k_stride = groups * head_size;
  const LocalScratch<float> scratch(stream, query_scratch(head_size));
  const int64_t nanoseconds = sequences * heads * length * length * head_size / 16;
  // A head's tiles follow each other, because they read the same keys.
  parallel_tasks(stream, sequences * heads * tiles, nanoseconds, [&](int64_t task, int member) {
    const int64_t sequence = task / (tiles * heads), head = task / tiles % heads, first = task % tiles * kQueries;
    const int64_t q_start = sequence * length * q_stride + head * head_size;
    const int64_t k_start = sequence * length * k_stride + head / (heads / groups) * head_size;
    const HeadRows q{Floats(*in.q), q_start, q_stride}, to{Floats(out), q_start, q_stride};
    const PagedRows k{Floats(*in.k), {}, k_start, k_stride, &kFirstBlock, length};
    const PagedRows v{Floats(*in.v), {}, k_start, k_stride, &kFirstBlock, length};
    prefetch_rows(to, first, length, head_size);
    prefetch_rows(q, first + kQueries, length, head_size);
    prefetch_rows({k.floats, k_start, k_stride}, first + kQueries, length, head_size);
    prefetch_rows({v.floats, k_start, k_stride}, first + kQueries, length, head_size);
    float* sums = logsumexp == nullptr
                      ? nullptr
                      : static_cast<float*>(logsumexp->data) + (sequence * heads + head) * length + first;
    with_pairs(in.q->dtype == MOE_BFLOAT16, [&](auto pairs) {
      attend_queries<pairs>(KeyRange::of(config, first, std::min(kQueries, length - first), length),
                            SoftmaxStart::of(in.sinks, head), head_size, config, q.from(first), k, v, to.from(first),
                            sums, scratch[member]);
    });
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
HWY_EXPORT(forward);
void attention_forward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
                       OptionalTensor logsumexp) {
  HWY_DYNAMIC_DISPATCH(forward)(stream, config, in, out, logsumexp);
}
}  // namespace moe::cpu
#endif
