package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.op.AttentionOp;
import panamoe.op.Pass;
import panamoe.op.RotaryOp;
import panamoe.tensor.Tensor;

/** Causal self-attention, multi-head or grouped-query, with or without rotary positions. */
public final class SelfAttention {
  private final int layer;
  private final int heads;
  private final int keyValueHeads;
  private final int headSize;
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear output;

  /**
   * @param layer index of this layer in the key/value cache
   * @param outputDeviation initial deviation of the output matrix, smaller in deep models
   */
  public SelfAttention(
      ParameterStore store,
      String name,
      int layer,
      int hidden,
      int heads,
      int keyValueHeads,
      boolean withBias,
      float deviation,
      float outputDeviation) {
    this.layer = layer;
    this.heads = heads;
    this.keyValueHeads = keyValueHeads;
    this.headSize = hidden / heads;
    long inner = (long) keyValueHeads * headSize;
    Parameter.Part part = Parameter.Part.ATTENTION;
    this.query = new Linear(store, name + ".query", part, hidden, hidden, withBias, Activation.IDENTITY, deviation);
    this.key = new Linear(store, name + ".key", part, hidden, inner, withBias, Activation.IDENTITY, deviation);
    this.value = new Linear(store, name + ".value", part, hidden, inner, withBias, Activation.IDENTITY, deviation);
    this.output =
        new Linear(store, name + ".output", part, hidden, hidden, withBias, Activation.IDENTITY, outputDeviation);
  }

  /**
   * @param x [S, M]
   * @param rotary null when positions are learned
   * @return [S, M]
   */
  public Tensor forward(Pass pass, Tensor x, Sequences sequences, RotaryTable rotary) {
    long rows = x.size(0);
    Tensor q = rotated(pass, query.forward(pass, x).reshape(rows, heads, headSize), sequences, rotary);
    Tensor k = rotated(pass, key.forward(pass, x).reshape(rows, keyValueHeads, headSize), sequences, rotary);
    Tensor v = value.forward(pass, x).reshape(rows, keyValueHeads, headSize);
    float scale = (float) (1 / Math.sqrt(headSize));
    Tensor attended =
        switch (sequences) {
          case Sequences.Whole(long batch, long length, _) ->
              AttentionOp.forward(
                  pass,
                  q.reshape(batch, length, heads, headSize),
                  k.reshape(batch, length, keyValueHeads, headSize),
                  v.reshape(batch, length, keyValueHeads, headSize),
                  scale,
                  0);
          case Sequences.Running(KeyValueCache cache, Tensor slots, Tensor positions) ->
              AttentionOp.decode(
                  pass, q, k, v, cache.keys(layer), cache.values(layer), slots, positions, scale, 0);
        };
    return output.forward(pass, attended.reshape(rows, (long) heads * headSize));
  }

  private static Tensor rotated(Pass pass, Tensor x, Sequences sequences, RotaryTable rotary) {
    return rotary == null
        ? x
        : RotaryOp.forward(pass, x, sequences.positions(), rotary.cosine(), rotary.sine(), false);
  }
}
