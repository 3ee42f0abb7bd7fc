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

// A checked copy of the config.
moe_attention_config check_config(const moe_attention_config* config) {
  const moe_attention_config c = check_struct("config", config);
  if (c.mask < MOE_CAUSAL || c.mask > MOE_CHUNKED) invalid("config.mask is ", c.mask, ", expected 0 to 2");
  check_finite("config.scale", c.scale);
  check_soft_cap("config.soft_cap", c.soft_cap);
  if (c.window < 0) invalid("config.window is ", c.window, ", expected 0 (no window) or more");
  if (c.mask == MOE_FULL && c.window != 0) invalid("config.window is ", c.window, " with MOE_FULL, expected 0");
  if (c.mask == MOE_CHUNKED && c.window == 0) invalid("config.window is 0 with MOE_CHUNKED, expected 1 or more");
  return c;
}

// q [B, L, H, D], k and v [B, L, G, D] of one dtype, sinks [H] or null.
moe_attention_inputs check_inputs(const moe_attention_inputs* inputs) {
  const moe_attention_inputs in = check_struct("inputs", inputs);
  Tensor q = check_tensor("q", in.q, kFloating, {kAny, kAny, kAny, kAny});
  Tensor k = check_tensor("k", in.k, kFloating, {q.shape[0], q.shape[1], kAny, q.shape[3]});
  Tensor v = check_tensor("v", in.v, kFloating, {q.shape[0], q.shape[1], k.shape[2], q.shape[3]});
  check_heads(q.shape[2], k.shape[2], q.shape[3]);
  check_same_dtype("q", q, "k", k);
  check_same_dtype("q", q, "v", v);
  check_optional("sinks", in.sinks, kFloat32Only, {q.shape[2]});
  return in;
}

// Refuses a tensor whose shape or dtype differs from `like`.
Tensor check_like(const char* name, const moe_tensor* tensor, const char* like_name, Tensor like,
                  DtypeSet dtypes = kFloating) {
  Tensor checked = check_tensor(name, tensor, dtypes, {like.shape[0], like.shape[1], like.shape[2], like.shape[3]});
  check_same_dtype(like_name, like, name, checked);
  return checked;
}

moe_attention_gradients check_gradients(const moe_attention_gradients* gradients, const moe_attention_inputs& in) {
  const moe_attention_gradients to = check_struct("gradients", gradients);
  if ((to.dsinks == nullptr) != (in.sinks == nullptr)) {
    invalid("sinks and dsinks are given together or both null, ", in.sinks == nullptr ? "sinks" : "dsinks", " is null");
  }
  check_like("dq", to.dq, "q", *in.q);
  check_like("dk", to.dk, "k", *in.k);
  check_like("dv", to.dv, "v", *in.v);
  check_optional("dsinks", to.dsinks, kFloat32Only, {in.q->shape[2]});
  return to;
}

// Refuses columns [first, first + count) of a tensor that has `most`.
void check_columns(const char* name, int64_t first, int64_t count, const char* of, int64_t most) {
  if (first < 0 || count < 0 || first > most || count > most - first) {
    invalid("columns.", name, " is ", first, " and columns.count is ", count, ", but ", of, " has ", most, " columns");
  }
}

// keys and values [blocks, block, groups, head_size] of the dtype of the rows `x`, or int8 with scales
// [blocks, block, groups]; table [slots, n]; slot and position [rows].
moe_cache_places check_places(const moe_cache_places* places, const char* name, Tensor x, int64_t groups) {
  const moe_cache_places at = check_struct("places", places);
  const int64_t rows = x.shape[0], head_size = x.shape[2];
  Tensor keys = check_tensor("keys", at.keys, kFloatingOrInt8, {kAny, kAny, groups, head_size});
  check_like("values", at.values, "keys", keys, kFloatingOrInt8);
  if (keys.dtype == MOE_INT8) {
    const auto scales = {keys.shape[0], keys.shape[1], keys.shape[2]};
    check_tensor("key_scales", at.key_scales, kFloat32Only, scales);
    check_tensor("value_scales", at.value_scales, kFloat32Only, scales);
  } else {
    check_same_dtype(name, x, "keys", keys);
    for (const auto& [scales_name, scales] : {Named("key_scales", at.key_scales), {"value_scales", at.value_scales}}) {
      if (scales != nullptr) invalid(scales_name, " are given, but keys are ", dtype_name(keys.dtype), ", not int8");
    }
  }
  check_tensor("table", at.table, kInt32Only, {kAny, kAny});
  check_tensor("slot", at.slot, kInt32Only, {rows});
  check_tensor("position", at.position, kInt32Only, {rows});
  return at;
}

// The arguments of attention over a cache: q and out [T, H, D], a causal config and cache positions.
struct CheckedDecode {
  CheckedDecode(const moe_attention_config* given, const moe_tensor* q, const moe_cache_places* given_places,
                const moe_tensor* out)
      : config(check_config(given)), places() {
    if (config.mask == MOE_FULL) invalid("config.mask is ", config.mask, ", decode takes no MOE_FULL (1)");
    Tensor queries = check_tensor("q", q, kFloating, {kAny, kAny, kAny});
    const int64_t rows = queries.shape[0], heads = queries.shape[1], head_size = queries.shape[2];
    places = check_places(given_places, "q", queries, kAny);
    check_heads(heads, places.keys->shape[2], head_size);
    check_same_dtype("q", queries, "out", check_tensor("out", out, kFloating, {rows, heads, head_size}));
    check_written({{"out", out}}, {{"q", q},
                                   {"keys", places.keys},
                                   {"values", places.values},
                                   {"key_scales", places.key_scales},
                                   {"value_scales", places.value_scales},
                                   {"table", places.table},
                                   {"slot", places.slot},
                                   {"position", places.position}});
  }

  moe_attention_config config;
  moe_cache_places places;
};

}  // namespace
}  // namespace moe

moe_status moe_rotary(moe_stream stream, const moe_tensor* x, const moe_rotary_angles* angles, int32_t direction,
                      const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::Tensor input = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    const int64_t rows = input.shape[0], head_size = input.shape[2];
    const moe_rotary_angles of = moe::check_struct("angles", angles);
    moe::check_tensor("positions", of.positions, moe::kInt32Only, {rows});
    moe::Tensor cosine = moe::check_tensor("cosine", of.cosine, moe::kFloat32Only, {moe::kAny, moe::kAny});
    moe::check_tensor("sine", of.sine, moe::kFloat32Only, {cosine.shape[0], cosine.shape[1]});
    if (cosine.shape[1] > head_size / 2) {
      moe::invalid("cosine has ", cosine.shape[1], " columns, more than half the head size ", head_size);
    }
    moe::check_flag("interleaved", of.interleaved);
    if (direction != 1 && direction != -1) moe::invalid("direction is ", direction, ", expected 1 or -1");
    moe::Tensor output = moe::check_tensor("y", y, moe::kFloating, {rows, input.shape[1], head_size});
    moe::check_same_dtype("x", input, "y", output);
    moe::check_written_or_same({"y", y}, {"x", x});
    moe::check_written({{"y", y}}, {{"positions", of.positions}, {"cosine", of.cosine}, {"sine", of.sine}});
    MOE_CALL(stream, rotary, input, of, direction, output);
  });
}

moe_status moe_head_copy(moe_stream stream, const moe_head_columns* columns, const moe_tensor* x, const moe_tensor* y,
                         MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_head_columns copied = moe::check_struct("columns", columns);
    moe::check_flag("columns.transpose", copied.transpose);
    moe::Tensor from = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    moe::Tensor to = moe::check_tensor("y", y, moe::kFloating,
                                       {from.shape[copied.transpose], from.shape[1 - copied.transpose], moe::kAny});
    moe::check_same_dtype("x", from, "y", to);
    moe::check_columns("from", copied.from, copied.count, "x", from.shape[2]);
    moe::check_columns("to", copied.to, copied.count, "y", to.shape[2]);
    moe::check_written({{"y", y}}, {{"x", x}});
    MOE_CALL(stream, head_copy, copied, from, to);
  });
}

moe_status moe_attention_forward(moe_stream stream, const moe_attention_config* config,
                                 const moe_attention_inputs* inputs, const moe_tensor* out, const moe_tensor* logsumexp,
                                 MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_attention_config checked = moe::check_config(config);
    const moe_attention_inputs in = moe::check_inputs(inputs);
    moe::check_like("out", out, "q", *in.q);
    moe::check_optional("logsumexp", logsumexp, moe::kFloat32Only, {in.q->shape[0], in.q->shape[2], in.q->shape[1]});
    moe::check_written({{"out", out}, {"logsumexp", logsumexp}},
                       {{"q", in.q}, {"k", in.k}, {"v", in.v}, {"sinks", in.sinks}});
    MOE_CALL(stream, attention_forward, checked, in, *out, logsumexp);
  });
}

moe_status moe_attention_backward(moe_stream stream, const moe_attention_config* config,
                                  const moe_attention_inputs* inputs, const moe_tensor* out,
                                  const moe_tensor* logsumexp, const moe_tensor* dout,
                                  const moe_attention_gradients* gradients, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_attention_config checked = moe::check_config(config);
    const moe_attention_inputs in = moe::check_inputs(inputs);
    moe::check_like("out", out, "q", *in.q);
    moe::check_tensor("logsumexp", logsumexp, moe::kFloat32Only, {in.q->shape[0], in.q->shape[2], in.q->shape[1]});
    moe::check_like("dout", dout, "q", *in.q);
    const moe_attention_gradients to = moe::check_gradients(gradients, in);
    moe::check_written({{"dq", to.dq}, {"dk", to.dk}, {"dv", to.dv}, {"dsinks", to.dsinks}}, {{"q", in.q},
                                                                                              {"k", in.k},
                                                                                              {"v", in.v},
                                                                                              {"sinks", in.sinks},
                                                                                              {"out", out},
                                                                                              {"logsumexp", logsumexp},
                                                                                              {"dout", dout}});
    MOE_CALL(stream, attention_backward, checked, in, *out, *logsumexp, *dout, to);
  });
}

moe_status moe_cache_append(moe_stream stream, const moe_tensor* k, const moe_tensor* v, const moe_cache_places* places,
                            MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::Tensor new_keys = moe::check_tensor("k", k, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    const int64_t rows = new_keys.shape[0], groups = new_keys.shape[1], head_size = new_keys.shape[2];
    moe::Tensor new_values = moe::check_tensor("v", v, moe::kFloating, {rows, groups, head_size});
    const moe_cache_places at = moe::check_places(places, "k", new_keys, groups);
    moe::check_same_dtype("k", new_keys, "v", new_values);
    const bool one = at.values->data == at.keys->data && v->data == k->data;  // each row is both key and value
    if (one && at.value_scales != nullptr && at.value_scales->data != at.key_scales->data) {
      moe::invalid("values are keys, but value_scales are not key_scales");
    }
    moe::check_written({{"keys", at.keys},
                        {"values", one ? nullptr : at.values},
                        {"key_scales", at.key_scales},
                        {"value_scales", one ? nullptr : at.value_scales}},
                       {{"k", k}, {"v", v}, {"table", at.table}, {"slot", at.slot}, {"position", at.position}});
    MOE_CALL(stream, cache_append, new_keys, new_values, at);
  });
}

moe_status moe_attention_decode(moe_stream stream, const moe_attention_config* config, const moe_tensor* q,
                                const moe_tensor* sinks, const moe_cache_places* places, const moe_tensor* out,
                                MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe::CheckedDecode call(config, q, places, out);
    moe::check_optional("sinks", sinks, moe::kFloat32Only, {q->shape[1]});
    moe::check_written({{"out", out}}, {{"sinks", sinks}});
    MOE_CALL(stream, attention_decode, call.config, *q, sinks, call.places, *out);
  });
}

moe_status moe_attention_biased(moe_stream stream, const moe_attention_config* config, const moe_relative_bias* bias,
                                const moe_tensor* q, const moe_cache_places* places, const moe_tensor* out,
                                MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe::CheckedDecode call(config, q, places, out);
    const moe_relative_bias added = moe::check_struct("bias", bias);
    moe::Tensor table = moe::check_tensor("bias", added.bias, moe::kFloat32Only, {moe::kAny, q->shape[1]});
    if (table.shape[0] % 2 == 0) moe::invalid("bias has ", table.shape[0], " rows, expected 2R + 1, an odd number");
    moe::check_tensor("bias.position", added.position, moe::kInt32Only, {q->shape[0]});
    moe::check_written({{"out", out}}, {{"bias", added.bias}, {"bias.position", added.position}});
    if (call.config.soft_cap != 0)
      moe::invalid("config.soft_cap is ", call.config.soft_cap, " with a bias, expected 0");
    MOE_CALL(stream, attention_biased, call.config, added, *q, call.places, *out);
  });
}
