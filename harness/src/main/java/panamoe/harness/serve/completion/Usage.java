package panamoe.harness.serve.completion;

import java.util.List;
import panamoe.engine.Generation;

/**
 * The token counts of a request.
 *
 * @param promptTokens of each prompt once
 */
public record Usage(
    long promptTokens,
    long completionTokens,
    long totalTokens,
    PromptDetails promptTokensDetails,
    CompletionDetails completionTokensDetails) {
  /**
   * @param cachedTokens taken from the cache by prefix sharing
   */
  public record PromptDetails(long cachedTokens) {}

  public record CompletionDetails(long reasoningTokens) {}

  /**
   * @param texts of all prompts, {@code n} of each
   */
  static Usage of(List<StreamedChoice> texts, int n) {
    long prompt = 0;
    long cached = 0;
    long completion = 0;
    long thoughts = 0;
    for (int choice = 0; choice < texts.size(); choice++) {
      Generation text = texts.get(choice).generation();
      completion += text.tokens();
      thoughts += texts.get(choice).thoughtTokens();
      if (choice % n == 0) {
        prompt += text.promptTokens();
        cached += text.sharedTokens();
      }
    }
    return new Usage(
        prompt,
        completion,
        prompt + completion,
        new PromptDetails(cached),
        new CompletionDetails(thoughts));
  }
}
