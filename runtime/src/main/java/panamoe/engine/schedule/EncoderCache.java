package panamoe.engine.schedule;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.model.Encoder;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The sequences that an encoder has read, one for each slot: keys and values for the decoder's
 * cross-attention. Each sequence is encoded alone, so that its bits do not depend on others. Used
 * by one thread.
 */
final class EncoderCache {
  private static final int NONE = -1;

  private final Backend backend;
  private final Encoder encoder;
  private final KeyValueCache cache;
  private final Tensor table;
  private final Tensor ends;
  private final HostView hostEnds;
  // The last position of each slot's sequence; NONE if the slot has none.
  private final int[] last;

  /**
   * @param dtype of keys and values
   * @param slots sequences at a time
   * @param most rows of a step
   */
  EncoderCache(
      TensorScope scope, Backend backend, Encoder encoder, DType dtype, int slots, int most) {
    this.backend = backend;
    this.encoder = encoder;
    this.cache = encoder.cache(scope, dtype, slots);
    this.table = scope.allocate(DType.INT32, slots, 1).set(IntStream.range(0, slots).toArray());
    this.ends = scope.zeros(DType.INT32, most);
    this.hostEnds = HostView.of(ends);
    this.last = new int[slots];
    Arrays.fill(last, NONE);
  }

  /**
   * Encodes the new sequences of a step, and sets for each row where its sequence ends.
   *
   * @throws IllegalArgumentException if a row has no encoded sequence
   */
  void take(StepRows rows) {
    for (int i = 0; i < rows.sourceSlots.size(); i++) {
      try (TensorScope activations = TensorScope.shared(backend)) {
        encode(activations, rows.sourceSlots.get(i), rows.sources.get(i));
        backend.synchronize(); // before the activations are freed
      }
    }
    for (int row = 0; row < rows.count; row++) {
      int end = last[rows.slots[row]];
      if (end == NONE) {
        throw new IllegalArgumentException(
            "the encoder has read nothing for slot " + rows.slots[row]);
      }
      hostEnds.memory().setAtIndex(ValueLayout.JAVA_INT, row, end);
    }
    hostEnds.write(0, (long) rows.count * Integer.BYTES);
  }

  /**
   * @return the encoder's last hidden states [S, M], row by row
   */
  float[] read(int slot, int[] text) {
    try (TensorScope activations = TensorScope.shared(backend)) {
      return encode(activations, slot, text).toFloats();
    }
  }

  private Tensor encode(TensorScope activations, int slot, int[] text) {
    int length = text.length;
    last[slot] = length - 1;
    Tensor positions =
        activations.allocate(DType.INT32, length).set(IntStream.range(0, length).toArray());
    return encoder.read(
        Pass.inference(backend, activations),
        activations.allocate(DType.INT32, length).set(text),
        positions,
        all(activations, length, length - 1),
        new Sequences.Source(cache, table, all(activations, length, slot), positions));
  }

  private static Tensor all(TensorScope scope, int count, int value) {
    int[] values = new int[count];
    Arrays.fill(values, value);
    return scope.allocate(DType.INT32, count).set(values);
  }

  /**
   * The keys and values that a step's rows attend to.
   *
   * @param slots INT32 [rows]
   */
  Sequences.Source of(Tensor slots) {
    return new Sequences.Source(cache, table, slots, ends.part(0, DType.INT32, slots.count()));
  }
}
