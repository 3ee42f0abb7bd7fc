// An int8 key/value cache: what is stored, what attention reads, and bits independent of other rows.
#include <numeric>

#include "test/attention_reference.h"

namespace moe::testing {
namespace {

constexpr int64_t kBlock = 16;

// The definition: scale and codes c of `x` [rows * D], D elements at a time.
struct Stored {
  std::vector<float> scales;
  std::vector<int8_t> c;

  Stored(const Tensor& x, int64_t head_size) {
    for (int64_t row = 0; row < x.count() / head_size; ++row) {
      float most = 0;
      for (int64_t i = 0; i < head_size; ++i) {
        most = std::max(most, std::abs(static_cast<float>(x[row * head_size + i])));
      }
      const float scale = most / 127;
      scales.push_back(scale);
      for (int64_t i = 0; i < head_size; ++i) {
        const float quotient = scale == 0 ? 0 : static_cast<float>(x[row * head_size + i]) / scale;
        c.push_back(static_cast<int8_t>(std::nearbyint(std::clamp(quotient, -127.0f, 127.0f))));
      }
    }
  }
};

// One sequence, in slot 1 of a cache whose blocks are in reverse order.
struct Cache {
  Cache(moe_stream stream, moe_dtype dtype, int64_t length, int64_t groups, int64_t head_size, int64_t block = kBlock)
      : k(Tensor::random(dtype, {length, groups, head_size}, 2, -2, 2)),
        v(Tensor::random(dtype, {length, groups, head_size}, 3)),
        width((length + block - 1) / block),
        keys(MOE_INT8, {width, block, groups, head_size}),
        values(MOE_INT8, {width, block, groups, head_size}),
        key_scales(MOE_FLOAT32, {width, block, groups}),
        value_scales(MOE_FLOAT32, {width, block, groups}),
        table(MOE_INT32, {2, width}),
        slot(MOE_INT32, {length}),
        position(MOE_INT32, {length}) {
    for (int64_t i = 0; i < width; ++i) table.set(width + i, static_cast<double>(width - 1 - i));
    for (int64_t i = 0; i < width; ++i) table.set(i, -1);
    slot.fill(1);
    std::iota(position.data<int32_t>(), position.data<int32_t>() + length, 0);
    keys.fill(99);
    values.fill(99);
    key_scales.fill(NAN);
    value_scales.fill(NAN);
    EXPECT_MOE_OK(moe_cache_append(stream, k, v, places(slot, position)));
  }

  Passed<moe_cache_places> places(View at_slot, View at_position) const {
    return int8_places(keys, values, key_scales, value_scales, table, at_slot, at_position);
  }

  // [1, L, G, D]: what attention reads, rounded to `dtype`.
  static Tensor read(const Tensor& x, moe_dtype dtype) {
    const int64_t* shape = x.view().shape;
    const Stored stored(x, shape[2]);
    Tensor result(dtype, {1, shape[0], shape[1], shape[2]});
    for (int64_t i = 0; i < x.count(); ++i) {
      const auto at = static_cast<size_t>(i);
      result.set(i, stored.scales[at / static_cast<size_t>(shape[2])] * static_cast<float>(stored.c[at]));
    }
    return result;
  }

  Tensor k, v;
  int64_t width;
  Tensor keys, values, key_scales, value_scales, table, slot, position;
};

class AttentionInt8Test : public KernelTest {
 protected:
  // The attention of query rows [begin, end) of q [1, L, H, D].
  static Tensor decode(moe_stream on, const Cache& cache, const Tensor& q, int64_t begin, int64_t end,
                       int64_t window = 0, const moe_tensor* sinks = nullptr) {
    const auto dtype = static_cast<moe_dtype>(q.view().dtype);
    const int64_t rows = end - begin, heads = q.view().shape[2], head_size = q.view().shape[3];
    Tensor part(dtype, {rows, heads, head_size}), out(dtype, {rows, heads, head_size});
    Tensor slot(MOE_INT32, {rows}), position(MOE_INT32, {rows});
    slot.fill(1);
    std::iota(position.data<int32_t>(), position.data<int32_t>() + rows, static_cast<int32_t>(begin));
    for (int64_t i = 0; i < part.count(); ++i) part.set(i, q[begin * heads * head_size + i]);
    EXPECT_MOE_OK(
        moe_attention_decode(on, attention_config(0.3f, window), part, sinks, cache.places(slot, position), out));
    return out;
  }

  // Expects out to be rows [begin, ...) of whole.
  static void expect_rows(const Tensor& whole, const Tensor& out, int64_t begin) {
    const int64_t row = whole.count() / whole.view().shape[0];
    for (int64_t i = 0; i < out.count(); ++i) ASSERT_EQ(out[i], whole[begin * row + i]) << begin << ", " << i;
  }
};

TEST_F(AttentionInt8Test, AppendStoresWhatTheDefinitionSays) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {1, 7, 16, 33, 80}) {
      const int64_t length = 37, groups = 3;
      const Cache cache(stream, dtype, length, groups, head_size);
      for (const auto& [x, to, scales] : {std::tuple(&cache.k, &cache.keys, &cache.key_scales),
                                          std::tuple(&cache.v, &cache.values, &cache.value_scales)}) {
        const Stored expected(*x, head_size);
        for (int64_t p = 0; p < cache.width * kBlock; ++p) {
          const int64_t place = (cache.width - 1 - p / kBlock) * kBlock + p % kBlock;
          for (int64_t head = place * groups; head < (place + 1) * groups; ++head) {
            const auto from = static_cast<size_t>(p * groups + head % groups);
            if (p >= length) {
              ASSERT_TRUE(std::isnan((*scales)[head]));
            } else {
              ASSERT_EQ((*scales)[head], expected.scales[from]);
            }
            for (int64_t i = 0; i < head_size; ++i) {
              const double want =
                  p < length ? expected.c[from * static_cast<size_t>(head_size) + static_cast<size_t>(i)] : 99;
              ASSERT_EQ((*to)[head * head_size + i], want) << p << ", " << head << ", " << i;
            }
          }
        }
      }
    }
  }
}

TEST_F(AttentionInt8Test, StoresZerosSubnormalsAndWhatIsNotFinite) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  Tensor k = Tensor::of(MOE_FLOAT32, {5, 1, 2}, {0, -0.0, 190 * tiny, -190 * tiny, tiny, 0, NAN, 1, 1, -INFINITY});
  Tensor keys(MOE_INT8, {1, 5, 1, 2}), values(MOE_INT8, {1, 5, 1, 2});
  Tensor key_scales(MOE_FLOAT32, {1, 5, 1}), value_scales(MOE_FLOAT32, {1, 5, 1});
  Tensor table(MOE_INT32, {1, 1}), slot(MOE_INT32, {5}), position = Tensor::of(MOE_INT32, {5}, {0, 1, 2, 3, 4});
  ASSERT_MOE_OK(
      moe_cache_append(stream, k, k, int8_places(keys, values, key_scales, value_scales, table, slot, position)));
  EXPECT_EQ(key_scales[0], 0);
  EXPECT_EQ(keys[0], 0);
  EXPECT_EQ(keys[1], 0);
  EXPECT_EQ(key_scales[1], tiny);
  EXPECT_EQ(keys[2], 127);
  EXPECT_EQ(keys[3], -127);
  EXPECT_EQ(key_scales[2], 0);
  EXPECT_EQ(keys[4], 0);
  for (int64_t row : {3, 4}) {
    for (int64_t i : {0, 1}) {
      EXPECT_FALSE(std::isfinite(static_cast<float>(key_scales[row]) * static_cast<float>(keys[2 * row + i])));
    }
  }
}

TEST_F(AttentionInt8Test, AgreesWithFloat64) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {8, 13, 64}) {
      for (int64_t window : {0, 33}) {
        const Cache cache(stream, dtype, 150, 2, head_size);
        const Tensor q = Tensor::random(dtype, {1, 150, 4, head_size}, 1, -2, 2);
        const Tensor sinks = Tensor::random(MOE_FLOAT32, {4}, 4, -3, 3);
        // Tensor cores read elements rounded to bfloat16.
        const moe_dtype reads = on_cpu() ? MOE_FLOAT32 : dtype;
        const AttentionReference expected =
            reference_attention({1, 150, 4, 2, head_size, window}, q, Cache::read(cache.k, reads),
                                Cache::read(cache.v, reads), &sinks, 0.3f);
        const double half = on_cpu() ? 0x1p-8 : 0x1p-7;
        const double absolute = dtype == MOE_FLOAT32 ? 2e-5 : half, relative = dtype == MOE_FLOAT32 ? 0 : half;
        expect_near(decode(single, cache, q, 0, 150, window, sinks), expected.out, absolute, relative, "prefill");
        const Tensor last = decode(single, cache, q, 149, 150, window, sinks);
        expect_near(last, {expected.out.end() - 4 * head_size, expected.out.end()}, absolute, relative, "lone row");
      }
    }
  }
}

// A row alone, in a chunk of a prompt, on other threads, and in blocks of another size.
TEST_F(AttentionInt8Test, ARowHasItsOwnBits) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {13, 32}) {
      for (int64_t window : {0, 33}) {
        const Cache cache(stream, dtype, 300, 2, head_size);
        const Tensor q = Tensor::random(dtype, {1, 300, 4, head_size}, 1, -2, 2);
        const Tensor whole = decode(single, cache, q, 0, 300, window);
        for (moe_stream on : streams()) expect_rows(whole, decode(on, cache, q, 0, 300, window), 0);
        for (int64_t row : {0, 15, 16, 31, 100, 256, 299}) {
          expect_rows(whole, decode(triple, cache, q, row, row + 1, window), row);
        }
        for (int64_t begin = 3; begin + 97 <= 300; begin += 97) {
          expect_rows(whole, decode(stream, cache, q, begin, begin + 97, window), begin);
        }
        for (int64_t block : {1, 3, 64, 300}) {
          const Cache other(stream, dtype, 300, 2, head_size, block);
          expect_rows(whole, decode(stream, other, q, 0, 300, window), 0);
          expect_rows(whole, decode(stream, other, q, 299, 300, window), 299);
        }
      }
    }
  }
}

TEST_F(AttentionInt8Test, ReadsWhatForwardReadsOfTheSameElements) {
  for (int64_t head_size : {16, 13}) {
    const Cache cache(stream, MOE_FLOAT32, 150, 2, head_size);
    const Tensor q = Tensor::random(MOE_FLOAT32, {1, 150, 4, head_size}, 1, -2, 2);
    const Tensor k = Cache::read(cache.k, MOE_FLOAT32), v = Cache::read(cache.v, MOE_FLOAT32);
    Tensor out(MOE_FLOAT32, {1, 150, 4, head_size});
    ASSERT_MOE_OK(moe_attention_forward(stream, attention_config(0.3f), attention_inputs(q, k, v), out, nullptr));
    EXPECT_EQ(out.bits(), decode(stream, cache, q, 0, 150).bits());
  }
}

TEST_F(AttentionInt8Test, RefusesScalesThatDoNotFit) {
  const Tensor k(MOE_FLOAT32, {1, 2, 4}), q(MOE_FLOAT32, {1, 4, 4}), floats(MOE_FLOAT32, {3, 5, 2, 4});
  const Tensor table(MOE_INT32, {3, 1}), zero(MOE_INT32, {1}), none(MOE_FLOAT32, {3, 5, 2}),
      more(MOE_FLOAT32, {3, 5, 2});
  const Tensor keys(MOE_INT8, {3, 5, 2, 4}), values(MOE_INT8, {3, 5, 2, 4}), few(MOE_FLOAT32, {3, 5});
  const auto refused = [&](View of_keys, View of_values, View of_key_scales, View of_value_scales,
                           const char* message) {
    const auto places = int8_places(of_keys, of_values, of_key_scales, of_value_scales, table, zero, zero);
    const Tensor out(MOE_FLOAT32, {1, 4, 4});
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message, moe_cache_append(stream, k, k, places));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_attention_decode(stream, attention_config(1), q, nullptr, places, out));
  };
  refused(keys, values, nullptr, more, "key_scales is null");
  refused(keys, values, none, nullptr, "value_scales is null");
  refused(keys, values, few, more, "key_scales has shape [3, 5], expected [3, 5, 2]");
  refused(keys, floats, none, more, "keys is int8 but values is float32");
  refused(floats, floats, none, nullptr, "key_scales are given, but keys are float32, not int8");
  refused(zero, zero, nullptr, nullptr, "keys is int32, expected float32, bfloat16 or int8");
}

}  // namespace
}  // namespace moe::testing
