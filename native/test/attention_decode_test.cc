// The key/value cache, and attention over it: the same bits as attention over whole sequences, however rows are mixed.
#include <cstring>

#include "test/attention_reference.h"

namespace moe::testing {
namespace {

// Two sequences in slots 4 and 1 of a cache that is otherwise full of NaN.
class AttentionDecodeTest : public KernelTest {
 protected:
  static constexpr int64_t kSlots = 5, kLength = 150, kSpare = 10;  // positions of a slot that stay empty
  static constexpr int32_t kSlotOf[] = {4, 1};

  struct Sequences {
    AttentionShape shape;
    float scale;
    bool with_sinks;
    Tensor q, k, v, sinks, out, keys, values;
    const moe_tensor* given_sinks() const { return with_sinks ? &sinks.view() : nullptr; }
    int64_t row() const { return shape.heads * shape.head_size; }
  };

  // Query rows [rows, H, D] at (sequence, position) and the slot and position tensors that go with them.
  struct Batch {
    Tensor q, out, slot, position;
  };

  Sequences sequences(moe_dtype dtype, int64_t heads, int64_t groups, int64_t head_size, int64_t window,
                      int64_t length = kLength, bool with_sinks = false) {
    Sequences s{{2, length, heads, groups, head_size, window},
                1 / std::sqrt(static_cast<float>(head_size)),
                with_sinks,
                Tensor::random(dtype, {2, length, heads, head_size}, 1, -2, 2),
                Tensor::random(dtype, {2, length, groups, head_size}, 2, -2, 2),
                Tensor::random(dtype, {2, length, groups, head_size}, 3),
                Tensor::random(MOE_FLOAT32, {heads}, 4, -3, 3),
                Tensor(dtype, {2, length, heads, head_size}),
                Tensor(dtype, {kSlots, length + kSpare, groups, head_size}),
                Tensor(dtype, {kSlots, length + kSpare, groups, head_size})};
    EXPECT_MOE_OK(moe_attention_forward(stream, attention_config(s.scale, window),
                                        attention_inputs(s.q, s.k, s.v, s.given_sinks()), s.out, nullptr));
    s.keys.fill(NAN);
    s.values.fill(NAN);
    Tensor slot(MOE_INT32, {2 * length}), position(MOE_INT32, {2 * length});
    for (int64_t i = 0; i < 2 * length; ++i) {
      slot.set(i, kSlotOf[i / length]);
      position.set(i, static_cast<double>(i % length));
    }
    moe_tensor k = flat(s.k), v = flat(s.v);
    EXPECT_MOE_OK(moe_cache_append(stream, &k, &v, cache_places(s.keys, s.values, slot, position)));
    return s;
  }

  // [B, L, H, D] seen as [B L, H, D].
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

  // Decodes the rows and compares each, bit by bit, with the same row of attention_forward.
  void expect_forward_bits(const Sequences& s, const std::vector<std::pair<int64_t, int64_t>>& rows, moe_stream on) {
    Batch b = batch(s, rows);
    ASSERT_MOE_OK(moe_attention_decode(on, attention_config(s.scale, s.shape.window), b.q, s.given_sinks(),
                                       cache_places(s.keys, s.values, b.slot, b.position), b.out));
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
  for (moe_stream on : {single, stream, triple}) {
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

TEST_F(AttentionDecodeTest, ManyQueryHeadsOfOneKeyHeadHaveTheBitsOfForward) {
  for (int64_t heads : {24, 70}) {
    const Sequences s = sequences(MOE_BFLOAT16, 2 * heads, 2, 8, 0, 70);
    expect_forward_bits(s, {{0, 3}, {1, 69}, {1, 5}}, single);
    std::vector<std::pair<int64_t, int64_t>> whole;
    for (int64_t i = 0; i < 70; ++i) whole.push_back({1, i});
    expect_forward_bits(s, whole, single);
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
  ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(0.125f), q, nullptr,
                                     cache_places(keys, values, slot, position), out));
  const size_t bytes = kHeads * kHeadSize * sizeof(float);
  for (int64_t row = 0; row < kRows; ++row) {
    moe_tensor one = q.view();
    one.shape[0] = 1;
    one.data = q.data<char>() + static_cast<size_t>(row) * bytes;
    one.bytes = static_cast<int64_t>(bytes);
    ASSERT_MOE_OK(moe_attention_decode(stream, attention_config(0.125f), &one, nullptr,
                                       cache_places(keys, values, Tensor::of(MOE_INT32, {1}, {slot[row]}),
                                                    Tensor::of(MOE_INT32, {1}, {position[row]})),
                                       alone));
    EXPECT_EQ(std::memcmp(alone.data<char>(), out.data<char>() + static_cast<size_t>(row) * bytes, bytes), 0) << row;
  }
}

TEST_F(AttentionDecodeTest, TheLastRowOfAPlaceStays) {
  Tensor k = Tensor::random(MOE_BFLOAT16, {4, 1, 8}, 1), v = Tensor::random(MOE_BFLOAT16, {4, 1, 8}, 2);
  Tensor keys(MOE_BFLOAT16, {1, 2, 1, 8}), values(MOE_BFLOAT16, {1, 2, 1, 8});
  Tensor slot = Tensor::of(MOE_INT32, {4}, {0, 0, 0, 0}), position = Tensor::of(MOE_INT32, {4}, {1, 0, 1, 0});
  ASSERT_MOE_OK(moe_cache_append(stream, k, v, cache_places(keys, values, slot, position)));
  for (int64_t c = 0; c < 8; ++c) {
    EXPECT_EQ(keys[c], k[3 * 8 + c]);
    EXPECT_EQ(keys[8 + c], k[2 * 8 + c]);
    EXPECT_EQ(values[c], v[3 * 8 + c]);
    EXPECT_EQ(values[8 + c], v[2 * 8 + c]);
  }
}

TEST_F(AttentionDecodeTest, AppendWritesItsRowsAndNothingElse) {
  Tensor k = Tensor::random(MOE_FLOAT32, {2, 3, 4}, 1), v = Tensor::random(MOE_FLOAT32, {2, 3, 4}, 2);
  Tensor keys(MOE_FLOAT32, {2, 5, 3, 4}), values(MOE_FLOAT32, {2, 5, 3, 4});
  keys.fill(-7);
  values.fill(-8);
  Tensor slot = Tensor::of(MOE_INT32, {2}, {1, 0}), position = Tensor::of(MOE_INT32, {2}, {4, 2});
  ASSERT_MOE_OK(moe_cache_append(stream, k, v, cache_places(keys, values, slot, position)));
  for (int64_t place = 0; place < 10; ++place) {
    const int64_t row = place == 9 ? 0 : place == 2 ? 1 : -1;
    for (int64_t c = 0; c < 12; ++c) {
      EXPECT_EQ(keys[place * 12 + c], row < 0 ? -7 : k[row * 12 + c]);
      EXPECT_EQ(values[place * 12 + c], row < 0 ? -8 : v[row * 12 + c]);
    }
  }
}

TEST_F(AttentionDecodeTest, RefusesPlacesOutsideTheCache) {
  Tensor k(MOE_FLOAT32, {1, 2, 4}), keys(MOE_FLOAT32, {3, 5, 2, 4}), values(MOE_FLOAT32, {3, 5, 2, 4});
  Tensor q(MOE_FLOAT32, {1, 4, 4}), out(MOE_FLOAT32, {1, 4, 4});
  const auto refused = [&](double slot_value, double position_value, const char* message) {
    Tensor slot = Tensor::of(MOE_INT32, {1}, {slot_value}), position = Tensor::of(MOE_INT32, {1}, {position_value});
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_cache_append(stream, k, k, cache_places(keys, values, slot, position)));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_attention_decode(stream, attention_config(1, 0), q, nullptr,
                                            cache_places(keys, values, slot, position), out));
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
                                          cache_places(keys, values, mixed, rising), rows_out));
  Tensor one_slot = Tensor::of(MOE_INT32, {6}, {0, 0, 0, 0, 0, 0});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position[5] is 5, expected 0 to 4",
                     moe_attention_decode(stream, attention_config(1, 0), rows, nullptr,
                                          cache_places(keys, values, one_slot, rising), rows_out));
  Tensor slot = Tensor::of(MOE_INT32, {1}, {0}), two = Tensor::of(MOE_INT32, {2}, {0, 0});
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "position has shape [2], expected [1]",
      moe_attention_decode(stream, attention_config(1, 0), q, nullptr, cache_places(keys, values, slot, two), out));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "window is -2",
      moe_attention_decode(stream, attention_config(1, -2), q, nullptr, cache_places(keys, values, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "config.mask is 1, decode takes MOE_CAUSAL (0) alone",
                     moe_attention_decode(stream, attention_config(1, 0, MOE_FULL), q, nullptr,
                                          cache_places(keys, values, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "sinks has shape [2], expected [4]",
                     moe_attention_decode(stream, attention_config(1), q, Tensor(MOE_FLOAT32, {2}),
                                          cache_places(keys, values, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "places is null",
                     moe_attention_decode(stream, attention_config(1), q, nullptr, nullptr, out));
  Tensor odd(MOE_FLOAT32, {1, 3, 4}), half(MOE_BFLOAT16, {1, 2, 4});
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "3 query heads are no multiple of the 2",
      moe_attention_decode(stream, attention_config(1, 0), odd, nullptr, cache_places(keys, values, slot, slot), out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "k is bfloat16 but keys is float32",
                     moe_cache_append(stream, half, half, cache_places(keys, values, slot, slot)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "keys and values share memory",
                     moe_cache_append(stream, k, k, cache_places(keys, keys, slot, slot)));
}

TEST_F(AttentionDecodeTest, NoRowsAreFine) {
  Tensor q(MOE_FLOAT32, {0, 4, 8}), k(MOE_FLOAT32, {0, 2, 8}), keys(MOE_FLOAT32, {1, 4, 2, 8});
  Tensor values(MOE_FLOAT32, {1, 4, 2, 8}), none(MOE_INT32, {0});
  EXPECT_MOE_OK(moe_cache_append(stream, k, k, cache_places(keys, values, none, none)));
  EXPECT_MOE_OK(
      moe_attention_decode(stream, attention_config(1, 0), q, nullptr, cache_places(keys, values, none, none), q));
}

}  // namespace
}  // namespace moe::testing
