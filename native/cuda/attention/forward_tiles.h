// The tiles of the attention kernel: their shape, their place in shared memory, and how keys and values get there.
#pragma once

#include "cuda/attention/products.h"
#include "cuda/attention/run.h"

namespace moe::cuda {

template <int kHead>
constexpr bool kWide = kHead > kMostTrainedHeadSize;

// Warps of rows per block in long runs. 128 rows of bfloat16 halve the L2 traffic of 64, which tensor cores need;
// float32 is bound by its multiply-adds, and wider heads by registers.
template <typename Element, int kHead>
constexpr int row_warps_of_runs() {
  if (kWide<kHead>) return kWideRows / kWarpRows;
  return std::is_same_v<Element, Bfloat16> && kHead <= 128 ? 8 : 4;
}
constexpr int kColumnWarpsOfAChunk = 4;

// kOneChunk: a block takes one chunk of keys for 16 rows, or 32 of wide heads. It is bound by bytes, so four warps
// share the rows: they issue copies, and each computes a part of the scores and of the columns.
template <typename Element, int kHead, bool kOneChunk>
using ForwardHeads =
    std::conditional_t<kOneChunk, HeadShape<Element, kHead, kColumnWarpsOfAChunk>, HeadShape<Element, kHead>>;

template <typename Element, int kHead, int kRowWarps, bool kOneChunk>
struct ForwardShape : ForwardHeads<Element, kHead, kOneChunk> {
  using Base = ForwardHeads<Element, kHead, kOneChunk>;
  static constexpr int kRows = kRowWarps * kWarpRows;
  static constexpr bool kFloat = std::is_same_v<Element, float>;
  // Keys of a tile; with kSplitsColumns it fixes the order of sums.
  static constexpr int kKeys = kWide<kHead> ? (kFloat ? 8 : 32) : (kFloat ? 32 : 64);
  static constexpr int kWarps = kRowWarps * Base::kColumnWarps;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr size_t kTileBytes = sizeof(Element) * (kRows + 2 * kKeys) * Base::kStride;
  // Warps that share a row combine their scores in a table. Each computes those of kOwnKeys keys; of wide heads it
  // computes parts of all keys' scores, over its own columns, which it can keep in registers.
  static constexpr bool kSplitsColumns = kWide<kHead>;
  static constexpr int kOwnKeys = kSplitsColumns ? kKeys : kKeys / Base::kColumnWarps;
  static constexpr int kScoreParts = kSplitsColumns ? Base::kColumnWarps : 1;
  static constexpr int kScoreStride = product_stride(kKeys);
  static constexpr int kScoreFloats = Base::kColumnWarps == 1 ? 0 : kRows * kScoreParts * kScoreStride;
  using Queries = LeftFactor<Element, kHead, kSplitsColumns ? Base::kColumns : kHead>;
  // Queries that every warp keeps leave their tile to the scores.
  static constexpr bool kScoresReplaceQueries = kSplitsColumns && !kFloat;
  static constexpr size_t kSharedBytes = kTileBytes + sizeof(float) * ((kScoresReplaceQueries ? 0 : kScoreFloats) +
                                                                       kWarps * kWeightFloats<Element, kKeys / 8>);
  // Minimum blocks per SM: for more, ptxas saves registers and spills.
  static constexpr int kBlocks = kThreads * Base::kColumns <= 128 * 64 ? 3 : 1;
  static_assert(kChunk % kKeys == 0 && kOwnKeys % 8 == 0);
  static_assert(!kScoresReplaceQueries || sizeof(float) * kScoreFloats <= sizeof(Element) * kRows * Base::kStride);
};

// The tiles of keys and values that a block walks. A tile is even or odd, counted from position 0.
template <typename Shape, typename Element, int kHead>
struct KeyTiles {
  const AttendingRows& a;
  Run run;
  int group, first, end;  // the keys [first, end) may be read: blocks before `first` may be another sequence's by now
  Element* even;          // two tiles, one after the other
  bool once;              // values are keys: loaded once, into both tiles in turn; else keys into `even`

  static constexpr int kKeys = Shape::kKeys, kElements = kKeys * Shape::kStride;

  __device__ __forceinline__ Element* keys(int key) const {
    return even + (once && key / kKeys % 2 != 0 ? kElements : 0);
  }
  __device__ __forceinline__ Element* values(int key) const { return once ? keys(key) : even + kElements; }

  // Looks up where the keys of the tile from `key` on are. Threads may still load the tile before.
  __device__ __forceinline__ void find(int key) const {
    for (int r = static_cast<int>(threadIdx.x); r < kKeys; r += Shape::kThreads) {
      int64_t at = -1;
      if (key + r >= first && key + r < end) {
        at = a.cache.row(run.slot, key + r);
        if (at < 0) a.refusal.raise();
      }
      place(key, r) = at < 0 ? -1 : at * a.groups + group;
    }
  }
  // Begin to load what find() has found, before the last barrier.
  __device__ __forceinline__ void load_keys(int key) const { load(keys(key), a.keys, a.key_scales, key); }
  __device__ __forceinline__ void load_values(int key) const { load(values(key), a.values, a.value_scales, key); }

 private:
  // The row of [blocks * block * G, D] of key `key` + r and its value; -1 for none. It is in the padding of a tile.
  __device__ __forceinline__ int64_t& place(int key, int r) const {
    return *reinterpret_cast<int64_t*>(even + (key / kKeys % 2 * kKeys + r) * Shape::kStride + kHead);
  }
  __device__ __forceinline__ void load(Element* tile, const void* from, const float* scales, int key) const {
    if (scales == nullptr) {
      load_tile<kHead>(tile, kKeys, a.head_size, a.aligned, [&](int r) {
        const int64_t at = place(key, r);
        return at < 0 ? nullptr : static_cast<const Element*>(from) + at * a.head_size;
      });
    } else {
      load_int8_tile<kHead>(tile, kKeys, a.head_size, a.aligned, static_cast<const int8_t*>(from), scales,
                            [&](int r) { return place(key, r); });
    }
    commit_copies();
  }
};

}  // namespace moe::cuda
