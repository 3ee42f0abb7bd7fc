package panamoe.lab.load;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import panamoe.io.Require;

/**
 * Generates random requests: log-uniform lengths of prompts and completions. A part of the prompts
 * shares one of a few prefixes, like system prompts. Used by one thread.
 */
final class RequestMix {
  /** A completion request. */
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
   * The distribution of requests.
   *
   * @param promptTokens largest prompt; the smallest is a sixteenth of it
   * @param textTokens largest completion; the smallest is an eighth of it
   * @param shared part of the prompts with a shared prefix, 0 to 1
   */
  record Shape(int promptTokens, int textTokens, double shared) {
    /**
     * @throws IllegalArgumentException if a number is out of its range
     */
    Shape {
      if (promptTokens < 1 || textTokens < 1 || !(shared >= 0 && shared <= 1)) {
        throw Require.refusal(
            "prompts of up to %s tokens, completions of up to %s and a shared part of %s: expected at least 1, 1, and 0 to 1",
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

  /** A log-uniform number. */
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

  /** A text for measuring {@code lettersPerToken}. */
  static String sample() {
    return new RequestMix(new Shape(1, 1, 0), 1, 1).words(2000);
  }
}
