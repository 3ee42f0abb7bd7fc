package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.CachePlaces;
import panamoe.comm.Communicator;
import panamoe.op.AttentionOp;
import panamoe.op.Pass;
import panamoe.op.RotaryOp;
import panamoe.op.SliceOp;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;

/**
 * Causal self-attention, multi-head or grouped-query, with or without rotary positions. Tensor
 * ranks share the heads.
 */
public final class SelfAttention {
  private final Communicator tensor;
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
    this.tensor = store.ranks().tensor();
    if (keyValueHeads % tensor.size() != 0) {
      throw new IllegalArgumentException(
          keyValueHeads
              + " key/value heads do not divide among "
              + tensor.size()
              + " tensor ranks");
    }
    this.layer = layer;
    this.heads = heads / tensor.size();
    this.keyValueHeads = keyValueHeads / tensor.size();
    this.headSize = hidden / heads;
    long inner = (long) keyValueHeads * headSize;
    this.query = input(store, name + ".query", hidden, hidden, withBias, deviation);
    this.key = input(store, name + ".key", hidden, inner, withBias, deviation);
    this.value = input(store, name + ".value", hidden, inner, withBias, deviation);
    this.output =
        Linear.slicedByInputs(
            store,
            name + ".output",
            Parameter.Part.ATTENTION,
            hidden,
            hidden,
            withBias,
            outputDeviation);
  }

  private static Linear input(
      ParameterStore store,
      String name,
      long hidden,
      long outputs,
      boolean withBias,
      float deviation) {
    return Linear.slicedByOutputs(
        store,
        name,
        Parameter.Part.ATTENTION,
        hidden,
        outputs,
        withBias,
        Activation.IDENTITY,
        deviation);
  }

  /**
   * @param x [S, M]
   * @param rotary null when positions are learned
   * @return [S, M]
   */
  public Tensor forward(Pass pass, Tensor x, Sequences sequences, RotaryTable rotary) {
    long rows = x.size(0);
    Tensor input = SliceOp.enter(pass, x, tensor);
    Tensor q =
        rotated(pass, query.forward(pass, input).reshape(rows, heads, headSize), sequences, rotary);
    Tensor k =
        rotated(
            pass,
            key.forward(pass, input).reshape(rows, keyValueHeads, headSize),
            sequences,
            rotary);
    Tensor v = value.forward(pass, input).reshape(rows, keyValueHeads, headSize);
    AttentionSettings settings = AttentionSettings.causal((float) (1 / Math.sqrt(headSize)));
    Tensor attended =
        switch (sequences) {
          case Sequences.Whole(long batch, long length, _) ->
              AttentionOp.forward(
                  pass,
                  settings,
                  new AttentionInputs(
                      q.reshape(batch, length, heads, headSize),
                      k.reshape(batch, length, keyValueHeads, headSize),
                      v.reshape(batch, length, keyValueHeads, headSize)));
          case Sequences.Running(KeyValueCache cache, Tensor slots, Tensor positions) ->
              AttentionOp.decode(
                  pass,
                  settings,
                  new AttentionInputs(q, k, v),
                  new CachePlaces(cache.keys(layer), cache.values(layer), slots, positions));
        };
    return output.forward(pass, attended.reshape(rows, (long) heads * headSize));
  }

  private static Tensor rotated(Pass pass, Tensor x, Sequences sequences, RotaryTable rotary) {
    return rotary == null
        ? x
        : RotaryOp.forward(pass, x, sequences.positions(), rotary.cosine(), rotary.sine(), false);
  }
}
