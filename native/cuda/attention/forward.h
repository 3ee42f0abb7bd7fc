// Rows of queries that attend to the keys of their sequences: shared by attention_forward and attention_decode, so that
// both give a row the same bits.
#pragma once

#include "cuda/attention/softmax.h"
#include "cuda/device/launcher.h"

namespace moe::cuda {

// Keys are summed in chunks of kChunk positions, counted from position 0, and the chunks' sums are merged in order.
// Results depend on these chunks and on the tiles inside a chunk, and on no other grouping.
constexpr int kChunk = 256;

// Blocks of a paged cache: position p of slot s is entry p % block of block table[s, p / block]. Contiguous sequences
// are a cache with one block per slot, slot s in block s.
struct CacheBlocks {
  const int32_t* table;  // [slots, entries], or null for block s
  int64_t blocks;
  int slots, entries, block, capacity;

  __device__ __forceinline__ bool has(int slot, int position) const {
    return slot >= 0 && slot < slots && position >= 0 && position < capacity;
  }
  // The row of [blocks * block, G, D] of a position that the cache has room for; -1 if the table has no valid block
  // there.
  __device__ __forceinline__ int64_t row(int slot, int position) const {
    const int64_t in = table == nullptr ? slot : table[int64_t{slot} * entries + position / block];
    return in < 0 || in >= blocks ? -1 : in * block + position % block;
  }
};

// Rows [T, H, D] and the keys and values [blocks, block, G, D] of their sequences.
struct AttendingRows {
  const void* q;
  const void* keys;
  const void* values;
  const float* key_scales;    // [blocks, block, G] of int8 keys, or null
  const float* value_scales;  // [blocks, block, G] of int8 values, or null
  void* out;
  float* logsumexp;         // [slots, H, capacity], or null
  const int32_t* slot;      // slot of each row; null: row t is position t % capacity of slot t / capacity
  const int32_t* position;  // position of each row
  CacheBlocks cache;
  Refusal refusal;  // raised for a position outside the cache
  int rows, heads, groups, head_size;
  const float* sinks;  // [H], or null
  float scale;         // factor of q . k, includes log2(e)
  float cap;           // soft cap of scores, includes log2(e); 0: none
  SeenKeys seen;       // with MOE_FULL every row sees the whole slot
  bool aligned;
};

// Writes `out`; a block walks all chunks of its rows. For rows in long runs.
void attend_rows(Launcher& launch, moe_dtype dtype, const AttendingRows& rows);
// A block attends to one chunk. Writes `out` if there is only one chunk; else writes the sums [T, H, chunks, D] and
// (maximum, total) [T, H, chunks, 2] of the chunks that a row sees.
void attend_chunks(Launcher& launch, moe_dtype dtype, const AttendingRows& rows, int64_t chunks, float* sums,
                   float* statistics);

}  // namespace moe::cuda
