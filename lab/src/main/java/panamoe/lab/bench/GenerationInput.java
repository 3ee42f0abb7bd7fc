package panamoe.lab.bench;

import java.util.Random;

/**
 * The random tokens of a prefill, decode or decode-batch cell. A peer with our weights uses the
 * same tokens, so it needs the same experts.
 *
 * @param texts number of sequences
 * @param cached tokens per sequence before a call; in a prefill, tokens of the call
 * @param prompts tokens of all sequences, one after the other
 * @param next tokens that calls append
 */
public record GenerationInput(int texts, int cached, int[] prompts, int[] next) {
  /** Tokens per sequence in the cache of {@link BenchKind#DECODE_BATCH}. */
  static final int CACHED = 64;

  /**
   * A single sequence rotates over this many next tokens, so that its experts' weights come from
   * memory.
   */
  private static final int CHANGING = 64;

  /**
   * The input of a cell.
   *
   * @param tokens the cell's
   * @param texts the cell's number of sequences; a decode-batch has {@code tokens} sequences
   * @param vocabulary of the model
   */
  public static GenerationInput of(
      BenchKind kind, int tokens, int texts, int vocabulary, long seed) {
    Random random = new Random(seed);
    int written = kind == BenchKind.DECODE_BATCH ? tokens : texts;
    int cached = kind == BenchKind.DECODE_BATCH ? CACHED : tokens;
    return new GenerationInput(
        written,
        cached,
        random.ints((long) written * cached, 0, vocabulary).toArray(),
        random.ints(written == 1 ? CHANGING : written, 0, vocabulary).toArray());
  }

  /** The token of sequence {@code text} at {@code position}, which is below {@link #cached}. */
  public int prompt(int text, int position) {
    return prompts[text * cached + position];
  }

  /**
   * The token that call number {@code call} appends. With several sequences, which reach many
   * experts, it is always the same.
   */
  public int next(int call, int text) {
    return next[texts == 1 ? call % next.length : text];
  }
}
