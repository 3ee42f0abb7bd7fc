// The arguments of both backward kernels, and the tiles that they walk.
#pragma once

#include <algorithm>

#include "cuda/attention/score_tiles.h"
#include "cuda/device/launcher.h"

namespace moe::cuda {

template <typename Element, int kHeadSize, int kRowWarps_>
struct BackwardShape : HeadShape<Element, kHeadSize> {
  using Base = HeadShape<Element, kHeadSize>;
  static constexpr int kHead = kHeadSize, kRowWarps = kRowWarps_;
  static constexpr int kRows = kRowWarps * kWarpRows;  // rows that a block keeps
  static constexpr int kStep = kRowWarps * 8;          // rows of the other operand per step
  static constexpr int kWarps = kRowWarps * Base::kColumnWarps;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr size_t kTileBytes = sizeof(Element) * 2 * (kRows + 2 * kStep) * Base::kStride;
  static constexpr size_t kTableFloats = kWarps * kWeightFloats<Element, kStep / 8>;
  static constexpr int kStatistics = 2 * kStep;  // floats: logsumexp and delta of a step's queries
  static constexpr size_t kSharedBytes = kTileBytes + sizeof(float) * (kTableFloats + 2 * kStatistics);
  // Blocks per SM, which has 163 KiB of shared memory on sm_80, so that ptxas saves no registers for more. A fourth
  // block would make the narrowest heads spill.
  static constexpr int kBlocks = std::clamp<int>(163 * 1024 / kSharedBytes, 1, 3);
  static_assert(kStatistics <= kThreads);
};

// Calls visit with the BackwardShape for this head size: the widest one that fits the GPU's shared memory. All give
// every sum the same order.
template <typename Element, typename Visit>
void visit_shape(int head_size, size_t most_shared_bytes, Visit&& visit) {
  visit_head_size<kMostTrainedHeadSize>(head_size, [&](auto head) {
    // Float32 tiles of the widest heads are halved to fit the shared memory of every GPU.
    constexpr int kHead = decltype(head)::value, kRowWarps = std::is_same_v<Element, float> && kHead > 128 ? 2 : 4;
    using Wide = BackwardShape<Element, kHead, kRowWarps>;
    if constexpr (Wide::kSharedBytes > kSharedOfEveryGpu) {
      using Narrow = BackwardShape<Element, kHead, kRowWarps / 2>;
      static_assert(Narrow::kSharedBytes <= kSharedOfEveryGpu);
      if (Wide::kSharedBytes > most_shared_bytes) return visit(Narrow{});
    }
    visit(Wide{});
  });
}

template <typename Element>
struct Backward {
  const Element* q;
  const Element* k;
  const Element* v;
  const Element* dout;
  const float* logsumexp;
  const float* delta;  // [B, H, L]
  Element* dq;
  Element* dk;
  Element* dv;
  int length, heads, groups, head_size;
  float scale, cap;  // without log2(e)
  SeenKeys seen;
  bool aligned;
  int first_key_head, key_heads;  // the launch's range of [B, G]
  Element* dscores;               // [key_heads, H / G, score_tiles.count(), kRows, kRows], not yet scaled; or null
  ScoreTiles score_tiles;

  // Tiles of keys of a launch; every query head has this many too.
  unsigned key_tiles() const { return static_cast<unsigned>(int64_t{score_tiles.tiles} * key_heads); }
};

// Two tiles of rows in two stages: the next two load while these are used.
template <typename Shape, typename Element>
struct Steps {
  Element* memory;
  __device__ __forceinline__ Element* tile(int stage, int which) const {
    return memory + (stage * 2 + which) * Shape::kStep * Shape::kStride;
  }
};

// Row `from + r` of a head, with rows `stride` apart; null from `end` on.
template <typename Element>
struct HeadRows {
  const Element* head;
  int64_t stride;
  int from, end;
  __device__ __forceinline__ const Element* operator()(int r) const {
    return from + r < end ? head + (from + r) * stride : nullptr;
  }
};

// Writes dk and dv, and dscores if the launch has memory for them.
template <typename Element>
void launch_key_gradient(Launcher& launch, const Backward<Element>& backward);
// Writes dq. Launched after launch_key_gradient, which stores dscores.
template <typename Element>
void launch_query_gradient(Launcher& launch, const Backward<Element>& backward);

}  // namespace moe::cuda
