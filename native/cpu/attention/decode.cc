// Attention over the paged key/value cache (formula: forward.cc, causal): row t of q [T, H, D] attends to positions
// 0..position[t] of the sequence in slot[t]. Its keys and values are in the blocks of keys, values [blocks, block, G,
// D] that row slot[t] of the table [slots, n] lists. Consecutive rows of one sequence (prefill) go through the tiles of
// attention_forward; a lone row (decode) reads its keys once for all query heads that share them. Both sum in the same
// order, and tiles count positions, not blocks: a row has the bits of attention_forward either way.
// Tested and timed by: panamoe_test --gtest_filter='AttentionDecode*'; attention_bench --only decode
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/attention/decode.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <cstring>
#include <numeric>
#include <span>

#include "core/check.h"
#include "cpu/attention/queries-inl.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline constexpr int64_t kShortestRun = 4;  // from this length a tile of query lanes beats row by row

// Float32 rows of a tile, whole vectors wide, in the cache's memory or a copy. The first row of a part is at data +
// part.start.
struct FloatRows {
  const float* data;
  int64_t stride;
  std::span<const Part> parts;
};

// Whether a tile may be read from the cache's memory: small products and transposes cost more than copies. `last`:
// whether the last part must also be whole vectors of rows.
inline bool can_stay(std::span<const Part> parts, const PagedRows& x, int64_t columns, bool last) {
  if (x.as_float32() == nullptr || columns % lanes() != 0) return false;
  const auto whole = [](const Part& part) { return part.count % lanes() == 0; };
  return std::all_of(parts.begin(), parts.end() - (last ? 0 : 1), whole);
}

// A bias of scores by relative position, from a table [2 reach + 1, heads]; no bias without a table. A row's bias
// depends on its query's position.
struct Bias {
  const float* table = nullptr;
  int64_t reach = 0, heads = 0, query = 0;

  // Adds the bias of query head `head`, times log2(e), to scores [count] of keys from position `key` on.
  void add(int64_t head, int64_t key, int64_t count, float* scores) const {
    for (int64_t i = 0; i < count; ++i) {
      scores[i] += table[(std::clamp(key + i - query, -reach, reach) + reach) * heads + head] * kLog2E;
    }
  }
};

// Some query heads of one row, from `first` on: `groups` key/value heads, each shared by `shared` query heads.
struct RowHeads {
  int64_t first, groups, shared, head_size;
  int64_t count() const { return groups * shared; }
};

inline int64_t row_scratch(RowHeads heads) {
  const int64_t width = whole_vectors(heads.head_size);
  return 2 * heads.count() * width + 4 * kKeys * width + heads.shared * kKeys + 2 * heads.count();
}

// softmax_step of queries-inl.h for the scores [kKeys] of one head, of keys [first, last). Weights are summed one by
// one, like a query's lane there does, for equal bits.
template <bool kPairs>
void softmax_row(float* scores, int64_t first, int64_t last, float& maximum, float& total, float* sums, int64_t width) {
  const FloatTag d;
  const float hidden = -std::numeric_limits<float>::infinity();
  std::fill_n(scores, first, hidden);
  std::fill(scores + last, scores + kKeys, hidden);
  const FloatVector before = hn::Set(d, maximum);
  FloatVector peaks = before;
  for (int64_t i = 0; i < last; i += lanes()) peaks = hn::Max(peaks, hn::LoadU(d, scores + i));
  const FloatVector peak = hn::MaxOfLanes(d, peaks), decay = softmax_exp2(hn::Sub(before, peak));
  const auto weigh = [&](int64_t i) { return softmax_exp2(hn::Sub(hn::LoadU(d, scores + i), peak)); };
  for (int64_t i = 0; i < last; i += lanes()) hn::StoreU(weigh(i), d, scores + i);
  for (int64_t c = 0; c < width; c += lanes()) hn::StoreU(hn::Mul(hn::LoadU(d, sums + c), decay), d, sums + c);
  total *= hn::GetLane(decay);
  for (int64_t i = first; i < last; ++i) total += scores[i];
  maximum = hn::GetLane(peak);
  if constexpr (!kPairs) return;
  const HalfTag dh;
  for (int64_t i = 0; i < last; i += 2 * lanes()) {
    const auto rounded = round_both(hn::LoadU(d, scores + i), hn::LoadU(d, scores + i + lanes()));
    hn::StoreU(rounded, dh, reinterpret_cast<uint16_t*>(scores) + i);
  }
}

// A block of keys serves all heads before the next one is read, so that the cache is read in address order.
template <bool kPairs>
void attend_row(int64_t position, const moe_attention_config& config, RowHeads heads, OptionalTensor sinks,
                const Bias& bias, HeadRows q, const PagedRows& keys, const PagedRows& values, HeadRows out,
                float* scratch) {
  const FloatTag d;
  const int64_t head_size = heads.head_size, width = whole_vectors(head_size), shared = heads.shared;
  const int64_t row = row_words<kPairs>(head_size);
  const float factor = config.scale * kLog2E;
  Tiles tiles(scratch);
  float* queries = tiles.take(heads.count() * width);
  float* sums = tiles.take(heads.count() * width);  // weighted sums of values
  float* key_tile = tiles.take(kKeys * width);
  float* key_columns = tiles.take(width * kKeys);
  float* value_tile = tiles.take(kKeys * width);
  float* value_pairs = tiles.take(kKeys * width);
  float* scores = tiles.take(shared * kKeys);
  float* maximum = tiles.take(heads.count());
  float* total = tiles.take(heads.count());

  load_rows<kPairs>(q, heads.count(), head_size, heads.count(), queries);
  std::fill_n(sums, heads.count() * width, 0.0f);
  for (int64_t h = 0; h < heads.count(); ++h) {
    const SoftmaxStart start = SoftmaxStart::of(sinks, heads.first + h);
    maximum[h] = start.maximum;
    total[h] = start.sum;
  }

  const int64_t begin = VisibleKeys::of(config).first(position);
  const int64_t end = position + 1;
  Part parts[kKeys];  // of keys and of values
  for (int64_t key = begin, next; key < end; key = next) {
    next = std::min((key / kKeys + 1) * kKeys, end);
    // A tile of pairs begins at an even position: zeros replace a key before the window.
    const int64_t hidden = kPairs ? key % 2 : 0, count = hidden + next - key, columns = whole_vectors(count);
    const std::span<const Part> cut(parts, static_cast<size_t>(keys.cut(key, next, parts)));
    const Part copied{0, count, 0};
    const bool keys_stay = !kPairs && can_stay(cut, keys, head_size, true);
    const bool values_stay = !kPairs && can_stay(cut, values, head_size, false);
    for (int64_t group = 0; group < heads.groups; ++group) {
      const auto rows_of = [&](const PagedRows& x, bool stay, int64_t padded_rows, float* tile) -> FloatRows {
        const int64_t head = group * head_size;
        if (stay) return {x.as_float32() + head, x.stride, cut};
        std::fill_n(tile, hidden * row, 0.0f);
        x.load<kPairs>(cut, head, head_size, tile + hidden * row);
        std::fill_n(tile + count * row, (padded_rows - count) * row, 0.0f);
        return {tile, row, {&copied, 1}};
      };
      const FloatRows key_rows = rows_of(keys, keys_stay, columns, key_tile);
      FloatRows value_rows = rows_of(values, values_stay, kPairs ? 2 * words<kPairs>(count) : count, value_tile);
      if constexpr (kPairs) {
        pair_rows(value_tile, count, head_size, value_pairs);
        value_rows.data = value_pairs;
        value_rows.stride = width;
      }
      const int64_t first = group * shared;  // the group's first query head
      for (const Part& part : key_rows.parts) {
        transpose(key_rows.data + part.start, key_rows.stride, whole_vectors(part.count), row, key_columns + part.row,
                  kKeys);
      }
      product<Start::kScaledProduct, kPairs>(shared, columns, words<kPairs>(head_size), {queries + first * row, row, 1},
                                             key_columns, kKeys, scores, kKeys, &factor);
      cap_scores(scores, shared, columns, kKeys, config.soft_cap * kLog2E);
      for (int64_t h = 0; h < shared; ++h) {
        if (bias.table != nullptr) bias.add(heads.first + first + h, key - hidden, count, scores + h * kKeys);
        softmax_row<kPairs>(scores + h * kKeys, hidden, count, maximum[first + h], total[first + h],
                            sums + (first + h) * width, width);
      }
      for (const Part& part : value_rows.parts) {
        product<Start::kSum, kPairs>(shared, width, words<kPairs>(part.count), {scores + part.row, kKeys, 1},
                                     value_rows.data + part.start, value_rows.stride, sums + first * width, width);
      }
    }
  }

  for (int64_t h = 0; h < heads.count(); ++h) {
    const FloatVector share = hn::Set(d, 1 / total[h]);
    for (float* sum = sums + h * width; sum < sums + (h + 1) * width; sum += lanes()) {
      hn::StoreU(hn::Mul(hn::LoadU(d, sum), share), d, sum);
    }
  }
  store_rows(sums, 1.0f, heads.count(), head_size, out);
}

// Cuts the rows into runs: consecutive positions of one slot, `shortest` to kQueries rows, else single rows. Writes the
// start of each run and then the number of rows to `starts`; returns the number of runs.
inline int64_t find_runs(const int32_t* slot, const int32_t* position, int64_t rows, int64_t shortest,
                         int64_t* starts) {
  int64_t runs = 0;
  for (int64_t row = 0; row < rows;) {
    const auto continues = [&](int64_t next) {
      return slot[next] == slot[row] && int64_t{position[next]} - position[row] == next - row;
    };
    int64_t next = row + 1;
    while (next < rows && next - row < kQueries && continues(next)) ++next;
    if (next - row >= shortest) {
      starts[runs++] = row;
    } else {
      for (int64_t single = row; single < next; ++single) starts[runs++] = single;
    }
    row = next;
  }
  starts[runs] = rows;
  return runs;
}

void decode(Stream& stream, const moe_attention_config& config, Tensor q, OptionalTensor sinks,
            const moe_relative_bias* bias, const moe_cache_places& places, Tensor out) {
  const Floats keys(*places.keys), values(*places.values);
  const auto int8_keys = Int8Elements::of(*places.keys, places.key_scales);
  const auto int8_values = Int8Elements::of(*places.values, places.value_scales);
  const bool bfloat16 = q.dtype == MOE_BFLOAT16 && places.keys->dtype == MOE_BFLOAT16;
  const int64_t rows = q.shape[0], heads = q.shape[1], head_size = q.shape[2];
  const int64_t block = places.keys->shape[1], groups = places.keys->shape[2], shared = heads / groups;
  const int64_t q_stride = heads * head_size, key_stride = groups * head_size;
  const auto* tables = static_cast<const int32_t*>(places.table->data);
  const auto* slots = static_cast<const int32_t*>(places.slot->data);
  const auto* positions = static_cast<const int32_t*>(places.position->data);
  const int64_t scratch_size = std::max(query_scratch(head_size), row_scratch({0, groups, shared, head_size}));
  const LocalScratch<float> local(stream, scratch_size);
  auto* starts = stream.arena().take<int64_t>(rows + 1);
  // With a bias every row is a run: lanes of a tile are consecutive positions, an encoder's rows are not.
  const int64_t runs = find_runs(slots, positions, rows, bias == nullptr ? kShortestRun : kQueries + 1, starts);
  // Few runs are split by key/value heads until each thread has two tasks. If that is too few, the query heads of a
  // key/value head are split too: latent attention has a single key/value head.
  const int64_t threads = threads_of(stream), units = std::max<int64_t>(1, runs * groups);
  const int64_t pieces = std::clamp<int64_t>((threads + units - 1) / units, 1, shared);  // parts of a key/value head
  const int64_t parts = pieces > 1
                            ? groups * pieces
                            : std::clamp<int64_t>((2 * threads + runs - 1) / std::max<int64_t>(1, runs), 1, groups);
  const int64_t seen = std::accumulate(positions, positions + rows, rows);  // keys that all rows see
  parallel_tasks(stream, runs * parts, seen * heads * head_size / 4, [&](int64_t task, int member) {
    const int64_t run = task / parts, part = task % parts, row = starts[run], count = starts[run + 1] - row;
    const int64_t first_head = groups * part / parts * shared + shared * (part % pieces) / pieces;
    const int64_t last_head = pieces > 1 ? part / pieces * shared + shared * (part % pieces + 1) / pieces
                                         : groups * (part + 1) / parts * shared;
    const int64_t first_group = first_head / shared;
    const int32_t* table = tables + slots[row] * places.table->shape[1];
    const auto cached = [&](Floats x, Int8Elements int8, int64_t group) {
      return PagedRows{x, int8, group * head_size, key_stride, table, block};
    };
    float* scratch = local[member];
    if (count == 1) {
      Bias added;
      if (bias != nullptr) {
        added = {static_cast<const float*>(bias->bias->data), bias->bias->shape[0] / 2, heads,
                 static_cast<const int32_t*>(bias->position->data)[row]};
      }
      const int64_t q_start = row * q_stride + first_head * head_size,
                    sharing = std::min(shared, last_head - first_head);
      with_pairs(bfloat16, [&](auto pairs) {
        attend_row<pairs>(positions[row], config, {first_head, (last_head - first_head) / sharing, sharing, head_size},
                          sinks, added, {Floats(q), q_start, head_size}, cached(keys, int8_keys, first_group),
                          cached(values, int8_values, first_group), {Floats(out), q_start, head_size}, scratch);
      });
      return;
    }
    for (int64_t head = first_head; head < last_head; ++head) {
      const int64_t group = head / shared, q_start = row * q_stride + head * head_size;
      with_pairs(bfloat16, [&](auto pairs) {
        attend_queries<pairs>(KeyRange::causal_of(positions[row], count, VisibleKeys::of(config)),
                              SoftmaxStart::of(sinks, head), head_size, config, {Floats(q), q_start, q_stride},
                              cached(keys, int8_keys, group), cached(values, int8_values, group),
                              {Floats(out), q_start, q_stride}, nullptr, scratch);
      });
    }
  });
}

// cache_append of an int8 cache; `places` are checked.
void append_int8(Tensor k, Tensor v, const moe_cache_places& places) {
  const int64_t groups = k.shape[1], head_size = k.shape[2];
  const auto append = [&](Tensor from, int64_t row, Tensor to, Tensor scales, int64_t cache_at) {
    for (int64_t head = 0; head < groups; ++head) {
      quantise(Floats(from), (row * groups + head) * head_size, head_size,
               static_cast<int8_t*>(to.data) + (cache_at * groups + head) * head_size,
               static_cast<float*>(scales.data)[cache_at * groups + head]);
    }
  };
  for (int64_t t = 0; t < k.shape[0]; ++t) {
    const int64_t cache_at = cache_row(places, t);
    append(k, t, *places.keys, *places.key_scales, cache_at);
    append(v, t, *places.values, *places.value_scales, cache_at);
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
namespace {

// The cache positions of rows, checked and copied; of the table, only entries that rows need for what they see.
struct CheckedPlaces {
  CheckedPlaces(Stream& stream, const moe_cache_places& places, VisibleKeys visible)
      : table(copy_of(stream, *places.table)),
        slot(copy_of(stream, *places.slot)),
        position(copy_of(stream, *places.position)) {
    check_place_values(places, visible, data(table), data(slot), data(position));
  }

  static int32_t* data(const moe_tensor& copy) { return static_cast<int32_t*>(copy.data); }

  moe_cache_places of(moe_cache_places places) const {
    places.table = &table;
    places.slot = &slot;
    places.position = &position;
    return places;
  }

  const moe_tensor table, slot, position;

 private:
  static moe_tensor copy_of(Stream& stream, moe_tensor values) {
    values.data = stream.arena().take<int32_t>(element_count(values));
    return values;
  }
};

}  // namespace

HWY_EXPORT(append_int8);
// One thread, row by row: if two rows have the same position, the last one wins.
void cache_append(Stream& stream, Tensor k, Tensor v, const moe_cache_places& places) {
  const CheckedPlaces copies(stream, places, {1});
  const moe_cache_places checked = copies.of(places);
  const auto bytes = static_cast<size_t>(k.shape[1] * k.shape[2] * dtype_bytes(k.dtype));
  if (bytes == 0) return;  // empty tensors may have null pointers
  if (places.keys->dtype == MOE_INT8) {
    HWY_DYNAMIC_DISPATCH(append_int8)(k, v, checked);
    return;
  }
  for (int64_t t = 0; t < k.shape[0]; ++t) {
    const size_t cache_at = static_cast<size_t>(cache_row(checked, t)) * bytes, row = static_cast<size_t>(t) * bytes;
    std::memcpy(static_cast<char*>(places.keys->data) + cache_at, static_cast<const char*>(k.data) + row, bytes);
    std::memcpy(static_cast<char*>(places.values->data) + cache_at, static_cast<const char*>(v.data) + row, bytes);
  }
}

HWY_EXPORT(decode);
void attention_decode(Stream& stream, const moe_attention_config& config, Tensor q, OptionalTensor sinks,
                      const moe_cache_places& places, Tensor out) {
  const CheckedPlaces checked(stream, places, VisibleKeys::of(config));
  HWY_DYNAMIC_DISPATCH(decode)(stream, config, q, sinks, nullptr, checked.of(places), out);
}

void attention_biased(Stream& stream, const moe_attention_config& config, const moe_relative_bias& bias, Tensor q,
                      const moe_cache_places& places, Tensor out) {
  const CheckedPlaces checked(stream, places, VisibleKeys::of(config));
  HWY_DYNAMIC_DISPATCH(decode)(stream, config, q, nullptr, &bias, checked.of(places), out);
}

}  // namespace moe::cpu
#endif
