// The key/value cache and attention over it: the bits of attention over whole sequences, for any mix of rows.
#include <cstring>
#include <numeric>

#include "test/attention_reference.h"

namespace moe::testing {
namespace {

// How a cache is cut into blocks: `block` positions each, 0 for one block per slot; the first `shared` blocks are
// shared by both sequences.
struct Paging {
  int64_t block = 16, shared = 0;
};

// Two sequences in slots 4 and 1 of a cache that is otherwise NaN. Their blocks are shuffled.
class AttentionDecodeTest : public KernelTest {
 protected:
  static constexpr int64_t kSlots = 5, kLength = 150, kSpare = 10;  // positions of a slot that stay empty
  static constexpr int32_t kSlotOf[] = {4, 1};

  struct Sequences {
    AttentionShape shape;
    float scale;
    bool with_sinks;
    Tensor q, k, v, sinks, out, keys, values, table;
    const moe_tensor* given_sinks() const { return with_sinks ? &sinks.view() : nullptr; }
    int64_t row() const { return shape.heads * shape.head_size; }
  };

  // Query rows [rows, H, D] at (sequence, position) and their slot and position tensors.
  struct Batch {
    Tensor q, out, slot, position;
  };

  Sequences sequences(moe_dtype dtype, int64_t heads, int64_t groups, int64_t head_size, int64_t window,
                      int64_t length = kLength, bool with_sinks = false, Paging paging = {}, float soft_cap = 0,
                      moe_mask mask = MOE_CAUSAL) {
    const int64_t block = paging.block == 0 ? length + kSpare : paging.block;
    const int64_t width = (length + kSpare + block - 1) / block, blocks = 2 * width + 3;
    Sequences s{{2, length, heads, groups, head_size, window, mask, soft_cap},
                1 / std::sqrt(static_cast<float>(head_size)),
                with_sinks,
                Tensor::random(dtype, {2, length, heads, head_size}, 1, -2, 2),
                Tensor::random(dtype, {2, length, groups, head_size}, 2, -2, 2),
                Tensor::random(dtype, {2, length, groups, head_size}, 3),
                Tensor::random(MOE_FLOAT32, {heads}, 4, -3, 3),
                Tensor(dtype, {2, length, heads, head_size}),
                Tensor(dtype, {blocks, block, groups, head_size}),
                Tensor(dtype, {blocks, block, groups, head_size}),
                Tensor(MOE_INT32, {kSlots, width})};
    for (int64_t i = 0; i < paging.shared * block * groups * head_size; ++i) {
      s.k.set(length * groups * head_size + i, s.k[i]);
      s.v.set(length * groups * head_size + i, s.v[i]);
    }
    EXPECT_MOE_OK(moe_attention_forward(stream, attention_config(s.scale, window, mask, soft_cap),
                                        attention_inputs(s.q, s.k, s.v, s.given_sinks()), s.out, nullptr));
    s.keys.fill(NAN);
    s.values.fill(NAN);
    std::vector<int32_t> order(static_cast<size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(7));
    s.table.fill(-1);
    for (int64_t i = 0; i < (length + block - 1) / block; ++i) {
      for (int64_t sequence : {0, 1}) {
        s.table.set(kSlotOf[sequence] * width + i, order[(i < paging.shared ? 0 : sequence) * width + i]);
      }
    }
    Tensor slot(MOE_INT32, {2 * length}), position(MOE_INT32, {2 * length});
    for (int64_t i = 0; i < 2 * length; ++i) {
      slot.set(i, kSlotOf[i / length]);
      position.set(i, static_cast<double>(i % length));
    }
    moe_tensor k = flat(s.k), v = flat(s.v);
    EXPECT_MOE_OK(moe_cache_append(stream, &k, &v, cache_places(s.keys, s.values, s.table, slot, position)));
    return s;
  }

  // [B, L, H, D] as [B L, H, D].
  static moe_tensor flat(const Tensor& x) {
    moe_tensor rows = x.view();
    rows.rank = 3;
    rows.shape[0] *= rows.shape[1];
    rows.shape[1] = rows.shape[2];
    rows.shape[2] = rows.shape[3];
    return rows;
  }

  static Batch batch(const Sequences& s, const std::vector<std::pair<int64_t, int64_t>>& rows) {
    const auto dtype = static_cast<moe_dtype>(s.q.view().dtype);
    const auto count = static_cast<int64_t>(rows.size());
    Batch b{Tensor(dtype, {count, s.shape.heads, s.shape.head_size}),
            Tensor(dtype, {count, s.shape.heads, s.shape.head_size}), Tensor(MOE_INT32, {count}),
            Tensor(MOE_INT32, {count})};
    for (int64_t i = 0; i < count; ++i) {
      const auto [sequence, position] = rows[static_cast<size_t>(i)];
      for (int64_t c = 0; c < s.row(); ++c) {
        b.q.set(i * s.row() + c, s.q[(sequence * s.shape.length + position) * s.row() + c]);
      }
      b.slot.set(i, kSlotOf[sequence]);
      b.position.set(i, static_cast<double>(position));
    }
    return b;
  }

  // Decodes the rows and compares each with its row of attention_forward, bit by bit.
  void expect_forward_bits(const Sequences& s, const std::vector<std::pair<int64_t, int64_t>>& rows, moe_stream on) {
    Batch b = batch(s, rows);
    ASSERT_MOE_OK(moe_attention_decode(on, attention_config(s.scale, s.shape.window, s.shape.mask, s.shape.soft_cap),
                                       b.q, s.given_sinks(),
                                       cache_places(s.keys, s.values, s.table, b.slot, b.position), b.out));
    const size_t bytes = static_cast<size_t>(s.row()) * (s.q.view().dtype == MOE_FLOAT32 ? 4 : 2);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto [sequence, position] = rows[i];
      const auto* expected = s.out.data<char>() + static_cast<size_t>(sequence * s.shape.length + position) * bytes;
      ASSERT_EQ(std::memcmp(b.out.data<char>() + i * bytes, expected, bytes), 0)
          << text(s.shape) << ", sequence " << sequence << ", position " << position << ", row " << i;
    }
  }
};

TEST_F(AttentionDecodeTest, ALoneRowHasTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {8, 13, 32, 80, 128}) {
      for (int64_t window : {0, 1, 4, 33, 1000}) {
        const Sequences s = sequences(dtype, 4, 2, head_size, window);
        for (int64_t position : {0, 1, 7, 31, 32, 63, 64, 100, 149}) expect_forward_bits(s, {{1, position}}, single);
      }
    }
  }
}

// Keys of earlier chunks may be gone: their blocks are not read.
TEST_F(AttentionDecodeTest, ChunksHaveTheBitsOfForward) {
  for (int64_t window : {1, 5, 32, 40}) {
    Sequences s = sequences(MOE_BFLOAT16, 4, 2, 13, window, kLength, true, {.block = 8}, 0, MOE_CHUNKED);
    for (int64_t position : {0, 4, 31, 32, 63, 64, 100, 149}) expect_forward_bits(s, {{1, position}}, single);
    for (int64_t i = 0; i < 120 / window * window / 8; ++i) s.table.set(kSlotOf[1] * s.table.view().shape[1] + i, -1);
    std::vector<std::pair<int64_t, int64_t>> rows;
    for (int64_t position = 120 / window * window; position < kLength; ++position) rows.emplace_back(1, position);
    expect_forward_bits(s, rows, stream);
  }
}

TEST_F(AttentionDecodeTest, PrefillInPiecesHasTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t window : {0, 33}) {
      const Sequences s = sequences(dtype, 6, 2, 16, window);
      for (int64_t piece : {1, 3, 4, 5, 40, 64, 97, 150}) {
        for (int64_t begin = 0; begin < kLength; begin += piece) {
          std::vector<std::pair<int64_t, int64_t>> rows;
          for (int64_t i = begin; i < std::min(begin + piece, kLength); ++i) rows.push_back({0, i});
          expect_forward_bits(s, rows, single);
        }
      }
    }
  }
}

TEST_F(AttentionDecodeTest, ARowAmongThirteenOthersHasItsOwnBits) {
  const Sequences s = sequences(MOE_FLOAT32, 4, 1, 32, 0);
  const std::vector<std::pair<int64_t, int64_t>> rows = {{0, 3},   {1, 149}, {0, 99}, {0, 100}, {0, 101},
                                                         {0, 102}, {0, 104}, {1, 7},  {1, 8},   {1, 9},
                                                         {1, 0},   {0, 0},   {1, 64}, {0, 149}};
  for (moe_stream on : streams()) {
    expect_forward_bits(s, rows, on);
    for (const auto& row : rows) expect_forward_bits(s, {row}, on);
  }
}

TEST_F(AttentionDecodeTest, LongSequencesHaveTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t window : {0, 300}) {
      const Sequences s = sequences(dtype, 2, 1, 16, window, 600);
      for (int64_t position : {255, 256, 511, 512, 599}) expect_forward_bits(s, {{1, position}}, single);
      expect_forward_bits(s, {{0, 254}, {0, 255}, {0, 256}, {0, 257}, {1, 599}}, single);
      std::vector<std::pair<int64_t, int64_t>> whole;
      for (int64_t i = 0; i < 600; ++i) whole.push_back({0, i});
      expect_forward_bits(s, whole, single);
    }
  }
}

// CUDA cuts the keys of a row into splits of 256. With a capacity of one split it needs no second launch.
TEST_F(AttentionDecodeTest, RowsAroundTheBordersOfSplitsHaveTheBitsOfForward) {
  for (int64_t window : {0, 255, 256, 257}) {
    const Sequences s = sequences(MOE_BFLOAT16, 2, 1, 13, window, 514, true, {.block = 24});
    for (int64_t position : {0, 254, 255, 256, 511, 512}) expect_forward_bits(s, {{1, position}}, single);
    expect_forward_bits(s, {{0, 513}, {1, 0}, {0, 510}, {1, 256}, {0, 255}}, stream);
  }
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t capacity : {256, 257}) {
      const Sequences s = sequences(dtype, 4, 1, 16, 0, capacity - kSpare, true, {.block = 0});
      expect_forward_bits(s, {{0, capacity - kSpare - 1}, {1, 0}, {1, 200}}, single);
    }
  }
}

// A graph is captured before lengths of sequences are known.
TEST_F(AttentionDecodeTest, ACapturedStepServesRowsOfEveryLength) {
  if (on_cpu()) GTEST_SKIP() << "the CPU captures no graphs";
  const Sequences s = sequences(MOE_BFLOAT16, 4, 2, 16, 0, 600, true);
  Batch captured = batch(s, {{0, 0}, {1, 0}});
  const auto decode = [&] {
    ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(s.scale), captured.q, s.given_sinks(),
                                       cache_places(s.keys, s.values, s.table, captured.slot, captured.position),
                                       captured.out));
  };
  moe_graph graph = 0;
  decode();
  ASSERT_MOE_OK(moe_graph_begin(stream));
  decode();
  ASSERT_MOE_OK(moe_graph_end(stream, &graph));
  for (int64_t position : {0, 255, 256, 599, 3}) {
    const Batch now = batch(s, {{0, position}, {1, 599 - position}});
    for (auto [from, to] : {std::pair{&now.q, &captured.q}, {&now.position, &captured.position}}) {
      for (int64_t i = 0; i < from->count(); ++i) to->set(i, (*from)[i]);
    }
    ASSERT_MOE_OK(moe_graph_launch(stream, graph));
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    for (int64_t row : {0, 1}) {
      const int64_t at = row == 0 ? position : s.shape.length + 599 - position;
      for (int64_t c = 0; c < s.row(); ++c) {
        ASSERT_EQ(captured.out[row * s.row() + c], s.out[at * s.row() + c]) << "position " << position;
      }
    }
  }
  EXPECT_MOE_OK(moe_graph_destroy(graph));
}

TEST_F(AttentionDecodeTest, SinksHaveTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t window : {0, 33, 300}) {
      const Sequences s = sequences(dtype, 6, 2, 13, window, 600, true);
      for (int64_t position : {0, 31, 100, 256, 599}) expect_forward_bits(s, {{1, position}}, single);
      expect_forward_bits(s, {{0, 3}, {0, 254}, {0, 255}, {0, 256}, {0, 257}, {1, 0}, {1, 599}}, triple);
      std::vector<std::pair<int64_t, int64_t>> whole;
      for (int64_t i = 0; i < 600; ++i) whole.push_back({0, i});
      expect_forward_bits(s, whole, stream);
    }
  }
}

TEST_F(AttentionDecodeTest, SoftCapsHaveTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t window : {0, 33}) {
      const Sequences s = sequences(dtype, 4, 2, 32, window, kLength, false, {}, 3);
      std::vector<std::pair<int64_t, int64_t>> rows;
      for (int64_t i = 40; i < 110; ++i) rows.push_back({0, i});
      for (int64_t i : {7, 149}) rows.push_back({1, i});
      expect_forward_bits(s, rows, triple);
    }
  }
}

TEST_F(AttentionDecodeTest, BlocksOfEverySizeHaveTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {13, 32}) {
      for (int64_t window : {0, 33}) {
        for (int64_t block : {1, 3, 16, 24, 32, 64, 0}) {
          SCOPED_TRACE("blocks of " + std::to_string(block));
          const Sequences s = sequences(dtype, 4, 2, head_size, window, kLength, false, {.block = block});
          for (int64_t position : {0, 15, 16, 31, 47, 100, 149}) expect_forward_bits(s, {{1, position}}, single);
          std::vector<std::pair<int64_t, int64_t>> rows;  // two runs and two lone rows
          for (int64_t i = 40; i < 110; ++i) rows.push_back({0, i});
          for (int64_t i : {7, 149, 60, 61, 62, 63, 64}) rows.push_back({1, i});
          expect_forward_bits(s, rows, triple);
        }
      }
    }
  }
}

TEST_F(AttentionDecodeTest, SequencesThatShareBlocksHaveTheBitsOfForward) {
  for (int64_t block : {1, 3, 16, 32}) {
    const Sequences s = sequences(MOE_FLOAT32, 4, 2, 32, 0, kLength, false, {.block = block, .shared = 64 / block});
    EXPECT_EQ(s.table[kSlotOf[0] * s.table.view().shape[1]], s.table[kSlotOf[1] * s.table.view().shape[1]]);
    expect_forward_bits(s, {{0, 149}, {1, 149}, {0, 20}, {1, 20}, {1, 63}, {1, 64}}, single);
    std::vector<std::pair<int64_t, int64_t>> rows;
    for (int64_t i = 30; i < 90; ++i) rows.push_back({1, i});
    expect_forward_bits(s, rows, single);
  }
}

// Blocks before the window may belong to another sequence, and so may their table entries.
TEST_F(AttentionDecodeTest, WhatLiesBeforeTheWindowIsNotRead) {
  constexpr int64_t kWindow = 33, kFirst = 90;
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t block : {1, 3, 16, 64}) {
      Sequences s = sequences(dtype, 4, 2, 13, kWindow, kLength, false, {.block = block});
      const int64_t row = 2 * 13, width = s.table.view().shape[1];
      for (int32_t slot : kSlotOf) {
        for (int64_t p = 0; p <= kFirst - kWindow; ++p) {
          const int64_t entry = slot * width + p / block,
                        place = static_cast<int64_t>(s.table[entry]) * block + p % block;
          for (int64_t c = 0; c < row; ++c) {
            s.keys.set(place * row + c, NAN);
            s.values.set(place * row + c, NAN);
          }
        }
        for (int64_t i = 0; i < (kFirst - kWindow + 1) / block; ++i)
          s.table.set(slot * width + i, i % 2 == 0 ? -1 : 999);
      }
      std::vector<std::pair<int64_t, int64_t>> rows = {{1, kFirst}, {1, 149}};
      for (int64_t i = kFirst; i < 130; ++i) rows.push_back({0, i});
      expect_forward_bits(s, rows, single);
      for (const auto& one : {rows[0], rows[1], rows[2]}) expect_forward_bits(s, {one}, single);
    }
  }
}

TEST_F(AttentionDecodeTest, ManyQueryHeadsOfOneKeyHeadHaveTheBitsOfForward) {
  for (int64_t heads : {24, 70}) {
    const Sequences s = sequences(MOE_BFLOAT16, 2 * heads, 2, 8, 0, 70);
    expect_forward_bits(s, {{0, 3}, {1, 69}, {1, 5}}, single);
    std::vector<std::pair<int64_t, int64_t>> whole;
    for (int64_t i = 0; i < 70; ++i) whole.push_back({1, i});
    expect_forward_bits(s, whole, single);
  }
}

// If there are more threads than key/value heads, they share query heads: unevenly, some of them one each.
TEST_F(AttentionDecodeTest, ThreadsThatShareAKeyHeadHaveTheBitsOfForward) {
  for (const auto& [heads, groups] : {std::pair<int64_t, int64_t>{5, 1}, {2, 1}, {8, 2}, {1, 1}}) {
    const Sequences s = sequences(MOE_FLOAT32, heads, groups, 200, 0);
    expect_forward_bits(s, {{0, 149}}, triple);
    std::vector<std::pair<int64_t, int64_t>> run;
    for (int64_t i = 90; i < 150; ++i) run.push_back({1, i});
    expect_forward_bits(s, run, triple);
  }
}

// Heads of Gemma 4, and rows of latent attention with the sizes of released models.
TEST_F(AttentionDecodeTest, WideHeadsHaveTheBitsOfForward) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const Sequences windows = sequences(dtype, 2, 1, 512, 33, 70, true);
    expect_forward_bits(windows, {{0, 69}, {1, 2}}, triple);
    expect_forward_bits(windows, {{1, 60}, {1, 61}, {1, 62}, {1, 63}, {1, 64}, {0, 5}}, triple);
    const Sequences heads = sequences(dtype, 34, 1, 576, 0, 35);
    expect_forward_bits(heads, {{0, 34}, {1, 2}}, triple);
    expect_forward_bits(heads, {{1, 3}, {1, 4}, {1, 5}, {1, 6}, {0, 31}, {0, 32}}, triple);
    const Sequences splits = sequences(dtype, 3, 1, 576, 0, 262, true);
    expect_forward_bits(splits, {{0, 261}, {1, 256}, {1, 255}}, triple);
    expect_forward_bits(splits, {{1, 253}, {1, 254}, {1, 255}, {1, 256}, {1, 257}}, single);
  }
}

// Latent attention: a cached row is key and value, and is stored once.
TEST_F(AttentionDecodeTest, ValuesThatAreKeysHaveTheBitsOfACopy) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (const auto& [cached, size] :
         {std::pair<moe_dtype, int64_t>{dtype, 24}, {MOE_INT8, 24}, {dtype, 576}, {MOE_INT8, 576}}) {
      const Tensor rows = Tensor::random(dtype, {40, 1, size}, 1), copy = Tensor::random(dtype, {40, 1, size}, 1);
      const Tensor q = Tensor::random(dtype, {40, 6, size}, 2), slot(MOE_INT32, {40});
      const Tensor once(dtype, {40, 6, size}), twice(dtype, {40, 6, size});
      const Tensor table = Tensor::of(MOE_INT32, {1, 3}, {2, 0, 1});
      Tensor position(MOE_INT32, {40});
      for (int64_t i = 0; i < 40; ++i) position.set(i, static_cast<double>(i));
      const Tensor keys(cached, {3, 16, 1, size}), values(cached, {3, 16, 1, size}), both(cached, {3, 16, 1, size});
      const Tensor key_scales(MOE_FLOAT32, {3, 16, 1}), value_scales(MOE_FLOAT32, {3, 16, 1});
      const Tensor both_scales(MOE_FLOAT32, {3, 16, 1});
      const bool int8 = cached == MOE_INT8;
      const moe_cache_places apart = int8 ? int8_places(keys, values, key_scales, value_scales, table, slot, position)
                                          : cache_places(keys, values, table, slot, position);
      const moe_cache_places shared = int8 ? int8_places(both, both, both_scales, both_scales, table, slot, position)
                                           : cache_places(both, both, table, slot, position);
      ASSERT_MOE_OK(moe_cache_append(stream, rows, copy, &apart));
      ASSERT_MOE_OK(moe_cache_append(stream, rows, rows, &shared));
      ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(0.2f), q, nullptr, &apart, twice));
      ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(0.2f), q, nullptr, &shared, once));
      expect_same_bits(once, twice, "stored once");
      EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "keys and values share memory",
                         moe_cache_append(stream, rows, copy, &shared));
      if (!int8) continue;
      const moe_cache_places torn = int8_places(both, both, both_scales, value_scales, table, slot, position);
      EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "values are keys, but value_scales are not key_scales",
                         moe_cache_append(stream, rows, rows, &torn));
    }
  }
}

TEST_F(AttentionDecodeTest, ARowOfALargeCacheHasItsOwnBits) {
  constexpr int64_t kRows = 7, kHeads = 256, kHeadSize = 64, kPlaces = 20480;
  Tensor keys(MOE_FLOAT32, {2, kPlaces, 1, kHeadSize}), values(MOE_FLOAT32, {2, kPlaces, 1, kHeadSize});
  for (int64_t i = 0; i < keys.count(); ++i) {
    keys.set(i, static_cast<double>(i * 37 % 101) / 101 - 0.5);
    values.set(i, static_cast<double>(i * 53 % 89) / 89 - 0.5);
  }
  Tensor q = Tensor::random(MOE_FLOAT32, {kRows, kHeads, kHeadSize}, 1, -2, 2);
  Tensor out(MOE_FLOAT32, {kRows, kHeads, kHeadSize}), alone(MOE_FLOAT32, {1, kHeads, kHeadSize});
  Tensor slot = Tensor::of(MOE_INT32, {kRows}, {0, 1, 0, 0, 1, 1, 0});
  Tensor position = Tensor::of(MOE_INT32, {kRows}, {5, 400, 70, 71, 0, 255, 256});
  Tensor table = Tensor::of(MOE_INT32, {2, 1}, {1, 0});
  ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(0.125f), q, nullptr,
                                     cache_places(keys, values, table, slot, position), out));
  const size_t bytes = kHeads * kHeadSize * sizeof(float);
  for (int64_t row = 0; row < kRows; ++row) {
    moe_tensor one = q.view();
    one.shape[0] = 1;
    one.data = q.data<char>() + static_cast<size_t>(row) * bytes;
    one.bytes = static_cast<int64_t>(bytes);
    ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(0.125f), &one, nullptr,
                                       cache_places(keys, values, table, Tensor::of(MOE_INT32, {1}, {slot[row]}),
                                                    Tensor::of(MOE_INT32, {1}, {position[row]})),
                                       alone));
    EXPECT_EQ(std::memcmp(alone.data<char>(), out.data<char>() + static_cast<size_t>(row) * bytes, bytes), 0) << row;
  }
}

TEST_F(AttentionDecodeTest, TheLastRowOfAPlaceStays) {
  Tensor k = Tensor::random(MOE_BFLOAT16, {4, 1, 8}, 1), v = Tensor::random(MOE_BFLOAT16, {4, 1, 8}, 2);
  Tensor keys(MOE_BFLOAT16, {1, 2, 1, 8}), values(MOE_BFLOAT16, {1, 2, 1, 8});
  Tensor slot = Tensor::of(MOE_INT32, {4}, {0, 1, 1, 0}), position = Tensor::of(MOE_INT32, {4}, {1, 0, 1, 0});
  Tensor table = Tensor::of(MOE_INT32, {2, 1}, {0, 0});  // the slots share their block
  ASSERT_MOE_OK(moe_cache_append(stream, k, v, cache_places(keys, values, table, slot, position)));
  for (int64_t c = 0; c < 8; ++c) {
    EXPECT_EQ(keys[c], k[3 * 8 + c]);
    EXPECT_EQ(keys[8 + c], k[2 * 8 + c]);
    EXPECT_EQ(values[c], v[3 * 8 + c]);
    EXPECT_EQ(values[8 + c], v[2 * 8 + c]);
  }
}

TEST_F(AttentionDecodeTest, AppendWritesItsRowsAndNothingElse) {
  Tensor k = Tensor::random(MOE_FLOAT32, {2, 3, 4}, 1), v = Tensor::random(MOE_FLOAT32, {2, 3, 4}, 2);
  Tensor keys(MOE_FLOAT32, {5, 2, 3, 4}), values(MOE_FLOAT32, {5, 2, 3, 4});
  keys.fill(-7);
  values.fill(-8);
  Tensor slot = Tensor::of(MOE_INT32, {2}, {1, 0}), position = Tensor::of(MOE_INT32, {2}, {5, 2});
  Tensor table = Tensor::of(MOE_INT32, {2, 3}, {-1, 2, -1, -1, -1, 3});
  ASSERT_MOE_OK(moe_cache_append(stream, k, v, cache_places(keys, values, table, slot, position)));
  for (int64_t place = 0; place < 10; ++place) {
    const int64_t row = place == 7 ? 0 : place == 4 ? 1 : -1;
    for (int64_t c = 0; c < 12; ++c) {
      EXPECT_EQ(keys[place * 12 + c], row < 0 ? -7 : k[row * 12 + c]);
      EXPECT_EQ(values[place * 12 + c], row < 0 ? -8 : v[row * 12 + c]);
    }
  }
}

TEST_F(AttentionDecodeTest, RefusesPlacesOutsideTheCache) {
  Tensor k(MOE_FLOAT32, {1, 2, 4}), keys(MOE_FLOAT32, {3, 5, 2, 4}), values(MOE_FLOAT32, {3, 5, 2, 4});
  Tensor table = Tensor::of(MOE_INT32, {3, 1}, {2, 0, 1});
  Tensor q(MOE_FLOAT32, {1, 4, 4}), out(MOE_FLOAT32, {1, 4, 4});
  const auto refused = [&](double slot_value, double position_value, const char* message) {
    Tensor slot = Tensor::of(MOE_INT32, {1}, {slot_value}), position = Tensor::of(MOE_INT32, {1}, {position_value});
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_cache_append(stream, k, k, cache_places(keys, values, table, slot, position)));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_attention_decode(stream, attention_config(1, 0), q, nullptr,
                                            cache_places(keys, values, table, slot, position), out));
  };
  refused(3, 0, "slot[0] is 3, expected 0 to 2");
  refused(-1, 0, "slot[0] is -1");
  refused(0, 5, "position[0] is 5, expected 0 to 4");
  refused(2, -1, "position[0] is -1");
  Tensor rows(MOE_FLOAT32, {6, 4, 4}), rows_out(MOE_FLOAT32, {6, 4, 4});
  Tensor mixed = Tensor::of(MOE_INT32, {6}, {0, 0, 0, 3, 0, 0});
  Tensor rising = Tensor::of(MOE_INT32, {6}, {0, 1, 2, 3, 4, 5});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "slot[3] is 3, expected 0 to 2",
                     moe_attention_decode(stream, attention_config(1, 0), rows, nullptr,
                                          cache_places(keys, values, table, mixed, rising), rows_out));
  Tensor one_slot = Tensor::of(MOE_INT32, {6}, {0, 0, 0, 0, 0, 0});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position[5] is 5, expected 0 to 4",
                     moe_attention_decode(stream, attention_config(1, 0), rows, nullptr,
                                          cache_places(keys, values, table, one_slot, rising), rows_out));
  Tensor slot = Tensor::of(MOE_INT32, {1}, {0}), two = Tensor::of(MOE_INT32, {2}, {0, 0});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position has shape [2], expected [1]",
                     moe_attention_decode(stream, attention_config(1, 0), q, nullptr,
                                          cache_places(keys, values, table, slot, two), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "window is -2",
                     moe_attention_decode(stream, attention_config(1, -2), q, nullptr,
                                          cache_places(keys, values, table, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "config.mask is 1, decode takes no MOE_FULL (1)",
                     moe_attention_decode(stream, attention_config(1, 0, MOE_FULL), q, nullptr,
                                          cache_places(keys, values, table, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "sinks has shape [2], expected [4]",
                     moe_attention_decode(stream, attention_config(1), q, Tensor(MOE_FLOAT32, {2}),
                                          cache_places(keys, values, table, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "places is null",
                     moe_attention_decode(stream, attention_config(1), q, nullptr, nullptr, out));
  Tensor odd(MOE_FLOAT32, {1, 3, 4}), half(MOE_BFLOAT16, {1, 2, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "3 query heads are no multiple of the 2",
                     moe_attention_decode(stream, attention_config(1, 0), odd, nullptr,
                                          cache_places(keys, values, table, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "k is bfloat16 but keys is float32",
                     moe_cache_append(stream, half, half, cache_places(keys, values, table, slot, slot)));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "keys and values share memory",
      moe_cache_append(stream, k, Tensor(MOE_FLOAT32, {1, 2, 4}), cache_places(keys, keys, table, slot, slot)));
}

// Table entries are checked only where a row needs their block.
TEST_F(AttentionDecodeTest, RefusesEntriesOfTheTableThatAreNoBlocks) {
  Tensor keys(MOE_FLOAT32, {4, 5, 2, 4}), values(MOE_FLOAT32, {4, 5, 2, 4});
  const auto append = [&](const Tensor& table, int64_t rows, const Tensor& slot, const Tensor& position) {
    Tensor k(MOE_FLOAT32, {rows, 2, 4});
    return moe_cache_append(stream, k, k, cache_places(keys, values, table, slot, position));
  };
  const auto decode = [&](const Tensor& table, int64_t rows, const Tensor& slot, const Tensor& position,
                          int64_t window = 0) {
    Tensor q(MOE_FLOAT32, {rows, 4, 4}), out(MOE_FLOAT32, {rows, 4, 4});
    return moe_attention_decode(stream, attention_config(1, window), q, nullptr,
                                cache_places(keys, values, table, slot, position), out);
  };
  const auto one = [](double value) { return Tensor::of(MOE_INT32, {1}, {value}); };
  for (double bad : {-1, 4, 1 << 30}) {
    const std::string expected = " is " + std::to_string(static_cast<int>(bad)) + ", expected 0 to 3";
    const Tensor last = Tensor::of(MOE_INT32, {2, 3}, {bad, bad, bad, 2, 3, bad});
    EXPECT_MOE_OK(append(last, 1, one(1), one(9)));
    EXPECT_MOE_OK(decode(last, 1, one(1), one(9)));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 2]" + expected, append(last, 1, one(1), one(10)));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 2]" + expected, decode(last, 1, one(1), one(10)));
    const Tensor first = Tensor::of(MOE_INT32, {2, 3}, {bad, bad, bad, bad, 0, 1});
    EXPECT_MOE_OK(append(first, 1, one(1), one(10)));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 0]" + expected, decode(first, 1, one(1), one(10)));
    EXPECT_MOE_OK(decode(first, 1, one(1), one(10), 6));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 0]" + expected, decode(first, 1, one(1), one(10), 7));
    const Tensor slots = Tensor::of(MOE_INT32, {8}, {1, 1, 1, 1, 1, 1, 1, 1});
    const Tensor run = Tensor::of(MOE_INT32, {8}, {4, 5, 6, 7, 8, 9, 10, 11});
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 2]" + expected, append(last, 8, slots, run));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 2]" + expected, decode(last, 8, slots, run));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table[1, 0]" + expected, decode(first, 8, slots, run, 5));
  }
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table has shape [3], expected [any, any]",
                     decode(Tensor(MOE_INT32, {3}), 1, one(0), one(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "table is float32, expected int32",
                     decode(Tensor(MOE_FLOAT32, {1, 1}), 1, one(0), one(0)));
}

TEST_F(AttentionDecodeTest, NoRowsAreFine) {
  Tensor q(MOE_FLOAT32, {0, 4, 8}), k(MOE_FLOAT32, {0, 2, 8}), none(MOE_INT32, {0});
  for (int64_t blocks : {0, 2}) {
    Tensor keys(MOE_FLOAT32, {blocks, 4, 2, 8}), values(MOE_FLOAT32, {blocks, 4, 2, 8}), table(MOE_INT32, {1, blocks});
    const auto places = cache_places(keys, values, table, none, none);
    EXPECT_MOE_OK(moe_cache_append(stream, k, k, places));
    EXPECT_MOE_OK(moe_attention_decode(stream, attention_config(1, 0), q, nullptr, places, q));
  }
}

}  // namespace
}  // namespace moe::testing
