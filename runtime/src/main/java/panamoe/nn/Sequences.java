package panamoe.nn;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.IntStream;
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
   * Whole sequences, one after the other. Several texts may share one; none attends to another.
   *
   * @param length L, tokens per sequence
   * @param texts the lengths of the texts in tokens; their sum is S
   */
  record Whole(long length, int[] texts, Tensor positions) implements Sequences {
    /** B sequences of L tokens, each a text. */
    public Whole(int batch, int length, Tensor positions) {
      this(length, equal(batch, length), positions);
    }

    /** {@code rows} rows as sequences of {@code length} tokens, each a text. */
    public static Whole of(TensorScope scope, long rows, int length) {
      return packed(scope, length, equal(Math.toIntExact(rows / length), length));
    }

    /**
     * Sequences of {@code length} tokens with texts of these lengths, whose positions begin at 0.
     */
    public static Whole packed(TensorScope scope, int length, int... texts) {
      Tensor positions = scope.allocate(DType.INT32, IntStream.of(texts).asLongStream().sum());
      HostView view = HostView.of(positions);
      long row = 0;
      for (int text : texts) {
        for (int i = 0; i < text; i++) {
          view.memory().setAtIndex(ValueLayout.JAVA_INT, row++, i);
        }
      }
      view.write();
      return new Whole(length, texts, positions);
    }

    private static int[] equal(int batch, int length) {
      int[] lengths = new int[batch];
      Arrays.fill(lengths, length);
      return lengths;
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
