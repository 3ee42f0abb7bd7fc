package panamoe.lab.load;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import panamoe.io.Require;

/**
 * Draws requests: prompts and texts of many lengths (uniform in their logarithm), a part of the
 * prompts with one of a few beginnings, as a server's users have system prompts. Used by one
 * thread.
 */
final class RequestMix {
  /** A request for a text. */
  record Asked(String prompt, int tokens) {}

  private static final int BEGINNINGS = 4;
  private static final String[] WORDS = {
    "and", "the", "of", "a", "to", "in", "was", "he", "that", "it", "her", "with", "as", "for",
    "house", "road", "river", "morning", "window", "letter", "garden", "winter", "little", "old",
    "said", "went", "looked", "thought", "could", "never", "before", "after", "again", "nothing"
  };

  private final Random random;
  private final Shape shape;
  private final double lettersPerToken;
  private final List<String> beginnings = new ArrayList<>();

  /**
   * How requests look.
   *
   * @param promptTokens most tokens of a prompt; the fewest are a sixteenth
   * @param textTokens most tokens of a text; the fewest are an eighth
   * @param shared the part of the prompts that begin like others, 0 to 1
   */
  record Shape(int promptTokens, int textTokens, double shared) {
    /**
     * @throws IllegalArgumentException if a number is out of its range
     */
    Shape {
      if (promptTokens < 1 || textTokens < 1 || !(shared >= 0 && shared <= 1)) {
        throw Require.refusal(
            "prompts of up to %s tokens, texts of up to %s and a shared part of %s: expected"
                + " at least 1, 1, and 0 to 1",
            promptTokens, textTokens, shared);
      }
    }
  }

  /**
   * @param lettersPerToken of the served model
   */
  RequestMix(Shape shape, double lettersPerToken, long seed) {
    this.shape = shape;
    this.lettersPerToken = lettersPerToken;
    this.random = new Random(seed);
    for (int i = 0; i < BEGINNINGS; i++) {
      beginnings.add(words(shape.promptTokens / 2));
    }
  }

  Asked next() {
    int prompt = between(Math.max(1, shape.promptTokens / 16), shape.promptTokens);
    int text = between(Math.max(1, shape.textTokens / 8), shape.textTokens);
    boolean shares = random.nextDouble() < shape.shared && prompt > shape.promptTokens / 2;
    String beginning = beginnings.get(random.nextInt(BEGINNINGS));
    return new Asked(
        shares ? beginning + words(prompt - shape.promptTokens / 2) : words(prompt), text);
  }

  /** Uniform in the logarithm. */
  private int between(int least, int most) {
    double drawn = least * Math.pow((double) (most + 1) / least, random.nextDouble());
    return Math.min(most, (int) drawn);
  }

  /** Words of about {@code tokens} tokens. */
  private String words(int tokens) {
    int letters = (int) Math.max(1, tokens * lettersPerToken);
    StringBuilder text = new StringBuilder();
    while (text.length() < letters) {
      text.append(WORDS[random.nextInt(WORDS.length)]).append(' ');
    }
    return text.substring(0, letters);
  }

  /** A text to measure {@code lettersPerToken} with. */
  static String sample() {
    return new RequestMix(new Shape(1, 1, 0), 1, 1).words(2000);
  }
}
