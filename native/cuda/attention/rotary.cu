// Rotary position embedding. Formulas and shapes: cpu/rotary.cc. A block takes a row of x; a thread takes vectors of
// pairs, or of copied elements. Bound by bytes.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Rotary*'. Time: ./panamoe bench prefill --device cuda.
#include "core/check.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/floating.h"

namespace moe::cuda {
namespace {

constexpr int kMostThreads = 256;

// A thread takes kVector pairs of a head at a time, or kVector elements after the pairs. It reads them before it writes
// them, so y may alias x.
template <typename Element, int kVector>
__global__ void __launch_bounds__(kMostThreads)
    rotary_kernel(const Element* x, const int32_t* positions, const float* cosine, const float* sine, int heads,
                  int head_size, int half, int64_t table_rows, bool interleaved, float direction, Element* y,
                  Refusal refusal) {
  using Elements = Vector<Element, kVector>;
  const int32_t position = positions[blockIdx.x];
  if (position < 0 || position >= table_rows) {
    refusal.raise();
    return;
  }
  cosine += int64_t{position} * half;
  sine += int64_t{position} * half;
  const int64_t row = int64_t{blockIdx.x} * heads * head_size;
  const int pairs = half / kVector, items = (head_size - half) / kVector;
  for (int i = static_cast<int>(threadIdx.x); i < heads * items; i += static_cast<int>(blockDim.x)) {
    const int item = i % items;
    const int64_t head = row + int64_t{i / items} * head_size;
    const auto from = [&](int64_t at) { return *reinterpret_cast<const Elements*>(x + head + at); };
    const auto to = [&](int64_t at, const Elements& values) { *reinterpret_cast<Elements*>(y + head + at) = values; };
    const int first = item * kVector;
    if (item >= pairs) {
      to(half + first, from(half + first));
      continue;
    }
    const int left = interleaved ? 2 * first : first, right = interleaved ? left + kVector : left + half;
    Elements a = from(left), b = from(right);
    const auto rotate = [&](Element& real, Element& imaginary, int pair) {
      const float c = cosine[first + pair], s = sine[first + pair] * direction;
      const float u = to_float(real), v = to_float(imaginary);
      real = from_float<Element>(fmaf(-v, s, u * c));
      imaginary = from_float<Element>(fmaf(u, s, v * c));
    };
    if (!interleaved || kVector == 1) {
#pragma unroll
      for (int n = 0; n < kVector; ++n) rotate(a.values[n], b.values[n], n);
    } else {
#pragma unroll
      for (int n = 0; n + 1 < kVector; n += 2) {
        rotate(a.values[n], a.values[n + 1], n / 2);
        rotate(b.values[n], b.values[n + 1], (kVector + n) / 2);
      }
    }
    to(left, a);
    to(right, b);
  }
}

}  // namespace

void rotary(Stream& stream, Tensor x, const moe_rotary_angles& angles, int direction, Tensor y) {
  Launcher launch(stream);
  Tensor positions = *angles.positions, cosine = *angles.cosine, sine = *angles.sine;
  const int64_t heads = x.shape[1], head_size = x.shape[2], half = cosine.shape[1];
  launch.stream().keep_checks([positions, table_rows = cosine.shape[0]] {
    check_range_values("positions", HostTensor(positions), 0, table_rows);
  });
  visit_floating(x, [&](auto element) {
    using Element = decltype(element);
    constexpr int kVector = kVectorOf<Element>;
    const bool aligned = in_vectors(x, head_size) && in_vectors(y, head_size) && half % kVector == 0;
    const int64_t items = heads * (head_size - half) / (aligned ? kVector : 1);
    const auto threads = static_cast<unsigned>(std::clamp<int64_t>(ceil_div(items, 32) * 32, 32, kMostThreads));
    launch(aligned ? rotary_kernel<Element, kVector> : rotary_kernel<Element, 1>, static_cast<unsigned>(x.shape[0]),
           threads, 0, data<Element>(x), data<int32_t>(positions), data<float>(cosine), data<float>(sine),
           static_cast<int>(heads), static_cast<int>(head_size), static_cast<int>(half), cosine.shape[0],
           angles.interleaved == 1, static_cast<float>(direction), data<Element>(y), launch.refusal());
  });
}

}  // namespace moe::cuda
