package panamoe.engine.schedule;

/**
 * Guesses the next tokens by prompt lookup, as in vLLM and transformers: what followed the latest
 * earlier occurrence of the last tokens. A guess costs only rows: it is computed in the same step
 * as the token before it, and kept only if it is the token that is sampled.
 */
final class Drafts {
  private static final int LONGEST = 3;

  private Drafts() {}

  /**
   * Writes up to {@code most} guesses after the tokens of a sequence.
   *
   * @return how many
   */
  static int guess(Sequence sequence, int most) {
    sequence.reserve(most);
    int[] tokens = sequence.tokens;
    int length = sequence.length;
    for (int same = Math.min(LONGEST, length - 1); same > 0; same--) {
      for (int end = length - 1; end >= same; end--) {
        if (ends(tokens, end, length, same)) {
          for (int i = 0; i < most; i++) { // reaches the guesses if the sequence repeats itself
            tokens[length + i] = tokens[end + i];
          }
          return most;
        }
      }
    }
    return 0;
  }

  /** Whether the {@code same} tokens before {@code end} equal those before {@code length}. */
  private static boolean ends(int[] tokens, int end, int length, int same) {
    for (int back = 1; back <= same; back++) {
      if (tokens[end - back] != tokens[length - back]) {
        return false;
      }
    }
    return true;
  }
}
