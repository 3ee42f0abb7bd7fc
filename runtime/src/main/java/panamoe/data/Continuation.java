package panamoe.data;

import java.util.Arrays;
import panamoe.io.Require;

/**
 * A text that continues another, whose likelihood is asked for.
 *
 * @param tokens of both; at least one before {@code from}
 * @param from index of the first token of the continuation
 */
public record Continuation(int[] tokens, int from) {
  /**
   * The tokens of a continuation and of its context, which loses its beginning if they are too
   * many. Without a context it begins a document.
   *
   * @param most tokens of both together
   * @throws IllegalArgumentException if the continuation alone has as many
   */
  public static Continuation of(
      Tokenizer tokenizer, String context, String continuation, int most) {
    int[] before = tokenizer.encode(context);
    int[] whole = tokenizer.encode(context + continuation);
    // Merges may cross the boundary: the continuation begins with the first token that differs.
    int common = Arrays.mismatch(before, whole);
    int from = Math.min(common < 0 ? whole.length : common, whole.length - 1);
    if (from < 1) {
      whole = Arrays.copyOf(whole, whole.length + 1);
      System.arraycopy(whole, 0, whole, 1, whole.length - 1);
      whole[0] = tokenizer.endOfText();
      from = 1;
    }
    Require.that(
        whole.length - from < most,
        "the answer has %s tokens, more than the model's context of %s",
        whole.length - from,
        most - 1);
    int dropped = Math.max(0, whole.length - most);
    return new Continuation(Arrays.copyOfRange(whole, dropped, whole.length), from - dropped);
  }
}
