#include "moe/attention.h"

#include "core/check.h"

namespace moe {
namespace {

// H query heads over G key/value heads of size D.
void check_heads(int64_t heads, int64_t groups, int64_t head_size) {
  if (heads < 1 || groups < 1 || head_size < 1) {
    invalid("there are ", heads, " query heads and ", groups, " key heads of size ", head_size, ", expected 1 or more");
  }
  if (heads % groups != 0) invalid("the ", heads, " query heads are no multiple of the ", groups, " key heads");
}

void check_window(int64_t window) {
  if (window < 0) invalid("window is ", window, ", expected 0 (no window) or more");
}

struct Inputs {
  T q, k, v;
};

// q [B, L, H, D], k and v [B, L, G, D] of one dtype, and the numbers that go with them.
Inputs check_inputs(const moe_tensor* q, const moe_tensor* k, const moe_tensor* v, float scale, int64_t window) {
  T queries = check_tensor("q", q, kFloating, {kAny, kAny, kAny, kAny});
  const int64_t* shape = queries.shape;
  T keys = check_tensor("k", k, kFloating, {shape[0], shape[1], kAny, shape[3]});
  T values = check_tensor("v", v, kFloating, {shape[0], shape[1], keys.shape[2], shape[3]});
  check_heads(shape[2], keys.shape[2], shape[3]);
  check_same_dtype("q", queries, "k", keys);
  check_same_dtype("q", queries, "v", values);
  check_finite("scale", scale);
  check_window(window);
  return {queries, keys, values};
}

// A tensor of the shape and dtype of `like`.
T check_like(const char* name, const moe_tensor* tensor, const char* like_name, T like) {
  T checked = check_tensor(name, tensor, kFloating, {like.shape[0], like.shape[1], like.shape[2], like.shape[3]});
  check_same_dtype(like_name, like, name, checked);
  return checked;
}

struct Cache {
  T keys, values, slot, position;
};

// keys and values [slots, capacity, G, D]; slot and position [T].
Cache check_cache(const moe_tensor* keys, const moe_tensor* values, int64_t groups, int64_t head_size,
                  const moe_tensor* slot, const moe_tensor* position, int64_t rows) {
  T cached = check_tensor("keys", keys, kFloating, {kAny, kAny, groups, head_size});
  return {cached, check_like("values", values, "keys", cached), check_tensor("slot", slot, kInt32Only, {rows}),
          check_tensor("position", position, kInt32Only, {rows})};
}

}  // namespace
}  // namespace moe

moe_status moe_rotary(moe_stream stream, const moe_tensor* x, const moe_tensor* positions, const moe_tensor* cosine,
                      const moe_tensor* sine, int32_t interleaved, int32_t direction, const moe_tensor* y,
                      MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::T input = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    const int64_t rows = input.shape[0], head_size = input.shape[2];
    moe::T places = moe::check_tensor("positions", positions, moe::kInt32Only, {rows});
    moe::T cosines = moe::check_tensor("cosine", cosine, moe::kFloat32Only, {moe::kAny, moe::kAny});
    moe::T sines = moe::check_tensor("sine", sine, moe::kFloat32Only, {cosines.shape[0], cosines.shape[1]});
    if (cosines.shape[1] > head_size / 2) {
      moe::invalid("cosine has ", cosines.shape[1], " columns, more than half the head size ", head_size);
    }
    moe::check_flag("interleaved", interleaved);
    if (direction != 1 && direction != -1) moe::invalid("direction is ", direction, ", expected 1 or -1");
    moe::T output = moe::check_tensor("y", y, moe::kFloating, {rows, input.shape[1], head_size});
    moe::check_same_dtype("x", input, "y", output);
    moe::check_written_or_same({"y", y}, {"x", x});
    moe::check_written({{"y", y}}, {{"positions", positions}, {"cosine", cosine}, {"sine", sine}});
    MOE_LAUNCH(stream, rotary, input, places, cosines, sines, interleaved == 1, direction, output);
  });
}

moe_status moe_attention_forward(moe_stream stream, const moe_tensor* q, const moe_tensor* k, const moe_tensor* v,
                                 float scale, int64_t window, const moe_tensor* out, const moe_tensor* logsumexp,
                                 MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe::Inputs in = moe::check_inputs(q, k, v, scale, window);
    moe::T output = moe::check_like("out", out, "q", in.q);
    const moe_tensor* sums =
        moe::check_optional("logsumexp", logsumexp, moe::kFloat32Only, {in.q.shape[0], in.q.shape[2], in.q.shape[1]});
    moe::check_written({{"out", out}, {"logsumexp", logsumexp}}, {{"q", q}, {"k", k}, {"v", v}});
    MOE_LAUNCH(stream, attention_forward, in.q, in.k, in.v, scale, window, output, sums);
  });
}

moe_status moe_attention_backward(moe_stream stream, const moe_tensor* q, const moe_tensor* k, const moe_tensor* v,
                                  const moe_tensor* out, const moe_tensor* logsumexp, const moe_tensor* dout,
                                  float scale, int64_t window, const moe_tensor* dq, const moe_tensor* dk,
                                  const moe_tensor* dv, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe::Inputs in = moe::check_inputs(q, k, v, scale, window);
    moe::T output = moe::check_like("out", out, "q", in.q);
    moe::T sums =
        moe::check_tensor("logsumexp", logsumexp, moe::kFloat32Only, {in.q.shape[0], in.q.shape[2], in.q.shape[1]});
    moe::T upstream = moe::check_like("dout", dout, "q", in.q);
    moe::check_like("dq", dq, "q", in.q);
    moe::check_like("dk", dk, "k", in.k);
    moe::check_like("dv", dv, "v", in.v);
    moe::check_written({{"dq", dq}, {"dk", dk}, {"dv", dv}},
                       {{"q", q}, {"k", k}, {"v", v}, {"out", out}, {"logsumexp", logsumexp}, {"dout", dout}});
    MOE_LAUNCH(stream, attention_backward, in.q, in.k, in.v, output, sums, upstream, scale, window, *dq, *dk, *dv);
  });
}

moe_status moe_cache_append(moe_stream stream, const moe_tensor* k, const moe_tensor* v, const moe_tensor* slot,
                            const moe_tensor* position, const moe_tensor* keys, const moe_tensor* values,
                            MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::T new_keys = moe::check_tensor("k", k, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    const int64_t rows = new_keys.shape[0], groups = new_keys.shape[1], head_size = new_keys.shape[2];
    moe::T new_values = moe::check_tensor("v", v, moe::kFloating, {rows, groups, head_size});
    const moe::Cache cache = moe::check_cache(keys, values, groups, head_size, slot, position, rows);
    moe::check_same_dtype("k", new_keys, "v", new_values);
    moe::check_same_dtype("k", new_keys, "keys", cache.keys);
    moe::check_written({{"keys", keys}, {"values", values}},
                       {{"k", k}, {"v", v}, {"slot", slot}, {"position", position}});
    MOE_LAUNCH(stream, cache_append, new_keys, new_values, cache.slot, cache.position, cache.keys, cache.values);
  });
}

moe_status moe_attention_decode(moe_stream stream, const moe_tensor* q, const moe_tensor* keys,
                                const moe_tensor* values, const moe_tensor* slot, const moe_tensor* position,
                                float scale, int64_t window, const moe_tensor* out, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::T queries = moe::check_tensor("q", q, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    const int64_t rows = queries.shape[0], heads = queries.shape[1], head_size = queries.shape[2];
    const moe::Cache cache = moe::check_cache(keys, values, moe::kAny, head_size, slot, position, rows);
    moe::check_heads(heads, cache.keys.shape[2], head_size);
    moe::check_same_dtype("q", queries, "keys", cache.keys);
    moe::check_finite("scale", scale);
    moe::check_window(window);
    moe::T output = moe::check_tensor("out", out, moe::kFloating, {rows, heads, head_size});
    moe::check_same_dtype("q", queries, "out", output);
    moe::check_written({{"out", out}},
                       {{"q", q}, {"keys", keys}, {"values", values}, {"slot", slot}, {"position", position}});
    MOE_LAUNCH(stream, attention_decode, queries, cache.keys, cache.values, cache.slot, cache.position, scale, window,
               output);
  });
}
