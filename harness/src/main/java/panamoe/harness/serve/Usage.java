package panamoe.harness.serve;

import java.util.List;
import panamoe.engine.Generation;

/**
 * The token counts of a request.
 *
 * @param promptTokens of each prompt once
 */
record Usage(
    long promptTokens,
    long completionTokens,
    long totalTokens,
    PromptDetails promptTokensDetails,
    CompletionDetails completionTokensDetails) {
  /**
   * @param cachedTokens taken from the cache by prefix sharing
   */
  record PromptDetails(long cachedTokens) {}

  record CompletionDetails(long reasoningTokens) {}

  /**
   * @param texts of all prompts, {@code n} of each
   */
  static Usage of(List<Generation> texts, int n) {
    long prompt = 0;
    long cached = 0;
    long completion = 0;
    for (int choice = 0; choice < texts.size(); choice++) {
      Generation text = texts.get(choice);
      completion += text.tokens();
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
        new CompletionDetails(0));
  }

  /**
   * These counts with reasoning tokens.
   *
   * @param tokens number of reasoning tokens
   */
  Usage thinking(long tokens) {
    return new Usage(
        promptTokens,
        completionTokens,
        totalTokens,
        promptTokensDetails,
        new CompletionDetails(tokens));
  }
}
