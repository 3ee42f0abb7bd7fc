package panamoe.backend.abi;

import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.CachePlaces;
import panamoe.backend.RelativeBias;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Attention, with its rotary embedding and its key/value cache, by the native library. */
interface NativeAttention extends AttentionKernels, NativeLaunch {
  @Override
  default void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean adjacent,
      int direction,
      Tensor y) {
    launch(
        "moe_rotary",
        (s, t, h) -> Moe.moe_rotary(s, t[0], t[1], direction, t[2], h[0], h[1], h[2], h[3]),
        x,
        Structs.rotaryAngles(adjacent, positions, cosine, sine),
        y);
  }

  @Override
  default void headCopy(boolean transpose, long from, long to, long count, Tensor x, Tensor y) {
    launch(
        "moe_head_copy",
        (s, t, h) -> Moe.moe_head_copy(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        Structs.headColumns(transpose, from, to, count),
        x,
        y);
  }

  @Override
  default void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp) {
    launch(
        "moe_attention_forward",
        (s, t, h) -> Moe.moe_attention_forward(s, t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        Structs.attention(settings),
        Structs.attentionInputs(inputs),
        out,
        logsumexp);
  }

  @Override
  default void attentionBackward(
      AttentionSettings settings,
      AttentionInputs inputs,
      Tensor out,
      Tensor logsumexp,
      Tensor dout,
      AttentionGradients gradients) {
    launch(
        "moe_attention_backward",
        (s, t, h) ->
            Moe.moe_attention_backward(
                s, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        Structs.attention(settings),
        Structs.attentionInputs(inputs),
        out,
        logsumexp,
        dout,
        Structs.attentionGradients(gradients));
  }

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch(
        "moe_cache_append",
        (s, t, h) -> Moe.moe_cache_append(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        k,
        v,
        Structs.cachePlaces(places));
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_decode",
        (s, t, h) ->
            Moe.moe_attention_decode(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        Structs.attention(settings),
        q,
        sinks,
        Structs.cachePlaces(places),
        out);
  }

  @Override
  default void attentionBiased(
      AttentionSettings settings, RelativeBias bias, Tensor q, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_biased",
        (s, t, h) ->
            Moe.moe_attention_biased(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        Structs.attention(settings),
        Structs.relativeBias(bias),
        q,
        Structs.cachePlaces(places),
        out);
  }
}
