package panamoe.nn;

import java.lang.foreign.ValueLayout;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** The sequences that the rows of an activation [S, M] belong to, for attention. */
public sealed interface Sequences {

  /** Position of every row, INT32 [S]. */
  Tensor positions();

  /** Tokens per sequence; 0 if they differ. */
  long length();

  /**
   * B whole sequences of L tokens, one after the other.
   *
   * @param positions INT32 [B * L]
   */
  record Whole(long batch, long length, Tensor positions) implements Sequences {
    /** {@code rows} rows as sequences of {@code length} tokens. */
    public static Whole of(TensorScope scope, long rows, long length) {
      Tensor positions = scope.allocate(DType.INT32, rows);
      HostView view = HostView.of(positions);
      for (long i = 0; i < rows; i++) {
        view.memory().setAtIndex(ValueLayout.JAVA_INT, i, (int) (i % length));
      }
      view.write();
      return new Whole(rows / length, length, positions);
    }
  }

  /**
   * Rows of running sequences, each with its place in a key/value cache; any mix of prefill and
   * decode.
   *
   * @param table INT32 [slots, n], the block table of the slots; any value where no row needs an
   *     entry; [2 * slots, n] if layers with a window have blocks of their own, which the second
   *     half names
   * @param slots INT32 [S], the slot of each row
   * @param positions INT32 [S]
   * @param ends INT32 [S], the last position that each row sees: its own, except in an encoder
   * @param source the encoded sequences that rows attend to; null without an encoder
   */
  record Running(
      KeyValueCache cache, Tensor table, Tensor slots, Tensor positions, Tensor ends, Source source)
      implements Sequences {
    /** Causal rows, without an encoder. */
    public Running(KeyValueCache cache, Tensor table, Tensor slots, Tensor positions) {
      this(cache, table, slots, positions, positions, null);
    }

    @Override
    public long length() {
      return 0;
    }
  }

  /**
   * Encoded sequences, as keys and values for each layer of the decoder.
   *
   * @param table INT32 [slots, n] as above
   * @param slots INT32 [S], the slot of each row
   * @param ends INT32 [S], the last position of its encoded sequence
   */
  record Source(KeyValueCache cache, Tensor table, Tensor slots, Tensor ends) {}
}
