#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/attention/forward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/attention/queries-inl.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

void forward(Stream& stream, T q, T k, T v, float scale, int64_t window, T out, N logsumexp) {
  const int64_t sequences = q.shape[0], length = q.shape[1], heads = q.shape[2], head_size = q.shape[3];
  const int64_t groups = k.shape[2], tiles = (length + kQueries - 1) / kQueries;
  const int64_t q_stride = heads * head_size, k_stride = groups * head_size;
  const LocalScratch<float> scratch(stream, query_scratch(head_size));
  const int64_t nanoseconds = sequences * heads * length * length * head_size / 16;
  parallel_tasks(stream, sequences * heads * tiles, nanoseconds, [&](int64_t task, int member) {
    // The last tiles see the most keys, so they go first: the team ends together.
    const int64_t tile = tiles - 1 - task / (sequences * heads), sequence = task / heads % sequences;
    const int64_t head = task % heads, group = head / (heads / groups), first = tile * kQueries;
    const int64_t q_start = (sequence * length + first) * q_stride + head * head_size;
    const int64_t k_start = sequence * length * k_stride + group * head_size;
    float* sums = logsumexp == nullptr
                      ? nullptr
                      : static_cast<float*>(logsumexp->data) + (sequence * heads + head) * length + first;
    attend_queries({first, std::min(kQueries, length - first), window}, head_size, scale,
                   {Floats(q), q_start, q_stride}, {Floats(k), k_start, k_stride}, {Floats(v), k_start, k_stride},
                   {Floats(out), q_start, q_stride}, sums, scratch[member]);
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
HWY_EXPORT(forward);
void attention_forward(Stream& stream, T q, T k, T v, float scale, int64_t window, T out, N logsumexp) {
  HWY_DYNAMIC_DISPATCH(forward)(stream, q, k, v, scale, window, out, logsumexp);
}
}  // namespace moe::cpu
#endif
