// Rows of queries that attend to the keys of their sequences: what attention_forward and attention_decode share, so
// that a row has the same bits whichever way it goes.
#pragma once

#include "cuda/attention/softmax.h"
#include "cuda/launch.h"

namespace moe::cuda {

// Keys are summed in chunks of kChunk positions, counted from position 0, and the chunks' sums are merged in order of
// position. A result depends on this grouping of keys and on the tiles inside a chunk, and on no other grouping.
constexpr int kChunk = 256;

// The blocks of a paged cache: position p of slot s lies in block table[s, p / block], at p % block. Sequences that lie
// one after the other are a cache of one block a slot, slot s in block s.
struct CacheBlocks {
  const int32_t* table;  // [slots, entries], or null for block s
  int64_t blocks;
  int slots, entries, block, capacity;

  __device__ __forceinline__ bool has(int slot, int position) const {
    return slot >= 0 && slot < slots && position >= 0 && position < capacity;
  }
  // The row of [blocks * block, G, D] that a position the cache has lies in; -1 where the table names no block.
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
  const float* value_scales;  // likewise
  void* out;
  float* logsumexp;         // [slots, H, capacity], or null
  const int32_t* slot;      // of each row; null where row t is at position t % capacity of slot t / capacity
  const int32_t* position;  // of each row
  CacheBlocks cache;
  Refusal refusal;  // raised for a place outside the cache
  int rows, heads, groups, head_size;
  const float* sinks;  // [H], or null
  float scale;         // of q . k, log2(e) included
  int window;          // from window_or_most
  bool full;           // every row sees the whole slot: MOE_FULL
  bool aligned;
};

// Attends and writes `out`, walking all the chunks of a row: for rows that come in long runs.
void attend_rows(Launch& launch, moe_dtype dtype, const AttendingRows& rows);
// Attends to one chunk a block. Where there is one chunk, writes `out`; else leaves sums [T, H, chunks, D] and
// (maximum, total) [T, H, chunks, 2] of those chunks that a row sees.
void attend_chunks(Launch& launch, moe_dtype dtype, const AttendingRows& rows, int64_t chunks, float* sums,
                   float* statistics);

}  // namespace moe::cuda
