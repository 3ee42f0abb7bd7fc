package panamoe.backend.abi;

import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.CachePlaces;
import panamoe.backend.RelativeBias;
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
    launch("moe_rotary", x, Structs.rotaryAngles(adjacent, positions, cosine, sine), direction, y);
  }

  @Override
  default void headCopy(boolean transpose, long from, long to, long count, Tensor x, Tensor y) {
    launch("moe_head_copy", Structs.headColumns(transpose, from, to, count), x, y);
  }

  @Override
  default void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp) {
    launch(
        "moe_attention_forward",
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
        Structs.attention(settings),
        Structs.attentionInputs(inputs),
        out,
        logsumexp,
        dout,
        Structs.attentionGradients(gradients));
  }

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch("moe_cache_append", k, v, Structs.cachePlaces(places));
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_decode",
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
        Structs.attention(settings),
        Structs.relativeBias(bias),
        q,
        Structs.cachePlaces(places),
        out);
  }
}
