package panamoe.text;

import java.util.List;

/**
 * A finished completion.
 *
 * @param text without the prompt and the stop string
 * @param tokens generated ids, without the one that ended the completion
 * @param finishReason why it ended
 * @param promptTokens number of the prompt's tokens
 * @param prefillSeconds from its start to its first token
 * @param decodeSeconds from its first token to its end
 */
public record GenerationResult(
    String text,
    List<Integer> tokens,
    FinishReason finishReason,
    int promptTokens,
    double prefillSeconds,
    double decodeSeconds) {
  /** Copies the list. */
  public GenerationResult {
    tokens = List.copyOf(tokens);
  }
}
