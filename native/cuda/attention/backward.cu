// Attention backward after FlashAttention-2 (arXiv 2307.08691): weights are recomputed from logsumexp, as powers of
// two. Formula and shapes: cpu/attention/backward.cc. With delta = dout . out and dscore = scale weight (dout . v -
// delta), dk and dv sum dscore q and weight dout over queries, one block per tile of keys (key_gradient.cu); dq sums
// dscore k over keys, one block per tile of queries (query_gradient.cu). No sum is shared by two blocks, so every sum
// has one order. The first kernel stores dscore for the second one; if that takes too much memory, the second one
// recomputes it.
// Tested by: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='AttentionTest*'. Timed on a GPU by ci/gpu.
#include "cuda/attention/backward.h"
#include "cuda/device/kernels.h"

namespace moe::cuda {
namespace {

constexpr int kDeltaThreads = 256;
constexpr int64_t kMemoryShare = 128;  // dscore may take 1 / 128 of the memory that the process may use

// delta[b,h,i] = dout[b,i,h] . out[b,i,h], one warp each. Bound by bytes.
template <typename Element>
__global__ void __launch_bounds__(kDeltaThreads)
    delta_kernel(const Element* out, const Element* dout, int64_t count, int64_t length, int64_t heads, int head_size,
                 float* delta) {
  const int64_t row = (int64_t{blockIdx.x} * kDeltaThreads + threadIdx.x) / kWarpLanes;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  if (row >= count) return;
  float sum = 0;
  for (int c = lane; c < head_size; c += kWarpLanes) {
    sum = fmaf(to_float(out[row * head_size + c]), to_float(dout[row * head_size + c]), sum);
  }
  sum = warp_sum(sum);
  const int64_t head = row % heads, token = row / heads;
  if (lane == 0) delta[(token / length * heads + head) * length + token % length] = sum;
}

// dsinks[h] -= sum_{b,i} exp(sinks[h] - logsumexp[b,h,i]) delta[b,h,i], one block per head. Bound by bytes.
__global__ void __launch_bounds__(kDeltaThreads)
    sink_gradient_kernel(const float* sinks, const float* logsumexp, const float* delta, int sequences, int length,
                         float* dsinks) {
  MOE_SHARED(float, table, [kMostWarps]);
  const int head = static_cast<int>(blockIdx.x), heads = static_cast<int>(gridDim.x);
  const float sink = sinks[head];
  float sum = 0;
  for (int sequence = 0; sequence < sequences; ++sequence) {
    const int64_t first = (int64_t{sequence} * heads + head) * length;
    for (int i = static_cast<int>(threadIdx.x); i < length; i += kDeltaThreads) {
      sum = fmaf(expf(sink - logsumexp[first + i]), delta[first + i], sum);
    }
  }
  sum = block_sum(sum, table);
  if (threadIdx.x == 0) dsinks[head] -= sum;
}

// Launches both kernels, for as many key heads at a time as dscores have memory for. Whether dscores are stored depends
// on the shape of one sequence and the GPU, and changes no sum's order.
template <typename Element>
void launch_gradients(Launcher& launch, Backward<Element>& backward, int key_heads) {
  const auto& gpu = launch.stream().gpu();
  int rows = 0;
  visit_shape<Element>(backward.head_size, gpu.most_shared_bytes(), [&](auto shape) { rows = shape.kRows; });
  backward.score_tiles = score_tiles(backward.length, rows, backward.seen.window, backward.seen.full);
  const int64_t tiles = backward.score_tiles.count() * (backward.heads / backward.groups);  // tiles of a key head
  const int64_t elements = tiles * rows * rows;
  const int64_t most = gpu.most_memory_bytes() / kMemoryShare / sizeof(Element);
  int64_t at_once = key_heads;
  if (elements <= most) {
    const int64_t fit = std::max<int64_t>(1, most / std::max<int64_t>(1, elements));
    at_once = ceil_div(key_heads, std::max<int64_t>(1, ceil_div(key_heads, fit)));  // in launches of even size
    backward.dscores = launch.take<Element>(at_once * elements);
  }
  for (int first = 0; first < key_heads; first += static_cast<int>(at_once)) {
    backward.first_key_head = first;
    backward.key_heads = static_cast<int>(std::min<int64_t>(at_once, key_heads - first));
    launch_key_gradient(launch, backward);
    launch_query_gradient(launch, backward);
  }
}

}  // namespace

void attention_backward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
                        Tensor logsumexp, Tensor dout, const moe_attention_gradients& to) {
  Launcher launch(stream);
  Tensor q = *in.q, k = *in.k, v = *in.v, dq = *to.dq, dk = *to.dk, dv = *to.dv;
  const int64_t sequences = q.shape[0], length = q.shape[1], heads = q.shape[2], groups = k.shape[2];
  const int64_t head_size = q.shape[3], rows = sequences * length * heads;
  bool aligned = true;
  for (const moe_tensor* tensor : {&q, &k, &v, &dout, &dq, &dk, &dv})
    aligned = aligned && in_vectors(*tensor, head_size);
  float* delta = launch.take<float>(rows);
  visit_floating(q, [&](auto element) {
    using Element = decltype(element);
    launch(delta_kernel<Element>, static_cast<unsigned>(ceil_div(rows, kDeltaThreads / kWarpLanes)), kDeltaThreads, 0,
           data<Element>(out), data<Element>(dout), rows, length, heads, static_cast<int>(head_size), delta);
    Backward<Element> backward{.q = data<Element>(q),
                               .k = data<Element>(k),
                               .v = data<Element>(v),
                               .dout = data<Element>(dout),
                               .logsumexp = data<float>(logsumexp),
                               .delta = delta,
                               .dq = data<Element>(dq),
                               .dk = data<Element>(dk),
                               .dv = data<Element>(dv),
                               .length = static_cast<int>(length),
                               .heads = static_cast<int>(heads),
                               .groups = static_cast<int>(groups),
                               .head_size = static_cast<int>(head_size),
                               .scale = config.scale,
                               .cap = config.soft_cap,
                               .seen = SeenKeys::of(config),
                               .aligned = aligned,
                               .first_key_head = 0,
                               .key_heads = 0,
                               .dscores = nullptr,
                               .score_tiles = {}};
    launch_gradients(launch, backward, static_cast<int>(sequences * groups));
  });
  if (in.sinks == nullptr) return;
  launch(sink_gradient_kernel, static_cast<unsigned>(heads), kDeltaThreads, 0, data<float>(in.sinks),
         data<float>(logsumexp), delta, static_cast<int>(sequences), static_cast<int>(length), data<float>(to.dsinks));
}

}  // namespace moe::cuda
