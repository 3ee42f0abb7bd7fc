package panamoe.engine;

import java.util.List;
import java.util.Set;
import panamoe.io.Require;

/**
 * Where a text ends.
 *
 * @param maxTokens most tokens to write
 * @param minTokens before this number of tokens none ends it, unless the text has a constraint
 * @param texts texts that end it; they are not part of the text
 * @param tokens tokens that end it, beside the end of text; they are not part of the text
 * @param ignoreEndOfText whether the model's end-of-text token does not end it
 * @param slide whether a text longer than the context goes on, remembering the later half of it;
 *     otherwise it ends there
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
    Require.that(texts.stream().noneMatch(String::isEmpty), "a stop text is empty");
    tokens = Set.copyOf(tokens);
  }

  /** At most {@code maxTokens}, or the end of text, or one of {@code texts}; beyond the context. */
  public static StopConfig of(int maxTokens, List<String> texts) {
    return new StopConfig(maxTokens, 0, texts, Set.of(), false, true);
  }
}
