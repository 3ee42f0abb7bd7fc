package panamoe.engine;

import java.util.List;
import java.util.Set;
import panamoe.io.Require;

/**
 * Where a completion ends.
 *
 * @param maxTokens most tokens to generate
 * @param minTokens nothing ends the completion before this number of tokens, except a constraint
 * @param texts stop strings; they are not part of the completion
 * @param tokens stop tokens in addition to the end of text; they are not part of the completion
 * @param ignoreEndOfText whether the model's end-of-text token does not end the completion
 * @param slide whether a sequence at the end of the context goes on with the later half of its
 *     tokens; otherwise it ends there
 */
public record StopConfig(
    int maxTokens,
    int minTokens,
    List<String> texts,
    Set<Integer> tokens,
    boolean ignoreEndOfText,
    boolean slide) {

  public StopConfig {
    Require.that(maxTokens >= 0, "the number of tokens is %s, expected 0 or more", maxTokens);
    Require.that(minTokens >= 0, "the least number of tokens is %s, expected 0 or more", minTokens);
    texts = List.copyOf(texts);
    Require.that(texts.stream().noneMatch(String::isEmpty), "a stop string is empty");
    tokens = Set.copyOf(tokens);
  }

  /**
   * Ends after {@code maxTokens}, at the end of text, or at one of {@code texts}; slides at the end
   * of the context.
   */
  public static StopConfig of(int maxTokens, List<String> texts) {
    return new StopConfig(maxTokens, 0, texts, Set.of(), false, true);
  }
}
