package panamoe.lab.bench;

import java.util.Random;

/**
 * The random tokens of a cell of prefill, decode or decode-batch. A peer that has our weights draws
 * the same, so that its tokens need the same experts.
 *
 * @param texts written together
 * @param cached tokens of each before a call; a prefill's are the call itself
 * @param prompts tokens of all texts, one text after the other
 * @param next tokens that calls go on with
 */
public record GenerationTexts(int texts, int cached, int[] prompts, int[] next) {
  /** Tokens of each text that {@link Kind#DECODE_BATCH} goes on with. */
  static final int CACHED = 64;

  /** One text's next tokens: they change, so that its experts' weights come from memory. */
  private static final int CHANGING = 64;

  /**
   * The texts of a cell.
   *
   * @param tokens the cell's
   * @param texts the cell's, which a decode-batch has by its tokens
   * @param vocabulary of the model
   */
  public static GenerationTexts of(Kind kind, int tokens, int texts, int vocabulary, long seed) {
    Random random = new Random(seed);
    int written = kind == Kind.DECODE_BATCH ? tokens : texts;
    int cached = kind == Kind.DECODE_BATCH ? CACHED : tokens;
    return new GenerationTexts(
        written,
        cached,
        random.ints((long) written * cached, 0, vocabulary).toArray(),
        random.ints(written == 1 ? CHANGING : written, 0, vocabulary).toArray());
  }

  /** The token of {@code text} at {@code position}, below {@link #cached}. */
  public int prompt(int text, int position) {
    return prompts[text * cached + position];
  }

  /**
   * The token that call number {@code call} goes on with. Those of several texts, which need many
   * experts, stay.
   */
  public int next(int call, int text) {
    return next[texts == 1 ? call % next.length : text];
  }
}
