package panamoe.engine.schedule;

/**
 * Guesses how a text goes on: as it did after the latest earlier place with the same last tokens
 * (prompt lookup, as in vLLM and transformers). A guess costs rows of a step and nothing else: each
 * is computed beside the token before it, and taken only if it is the token that is drawn.
 */
final class Drafts {
  private static final int LONGEST = 3;

  private Drafts() {}

  /**
   * Writes up to {@code most} guesses behind the tokens of a sequence.
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
          for (int i = 0; i < most; i++) { // goes on in the guesses where the text repeats itself
            tokens[length + i] = tokens[end + i];
          }
          return most;
        }
      }
    }
    return 0;
  }

  /** Whether the {@code same} tokens before {@code end} are those before {@code length}. */
  private static boolean ends(int[] tokens, int end, int length, int same) {
    for (int back = 1; back <= same; back++) {
      if (tokens[end - back] != tokens[length - back]) {
        return false;
      }
    }
    return true;
  }
}
