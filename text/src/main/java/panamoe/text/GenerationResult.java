package panamoe.text;

import java.util.List;

/**
 * A finished completion.
 *
 * @param text without special tokens, the prompt and the stop string; of a reply everything that
 *     was written, thoughts and calls included
 * @param message of the assistant, to append to the conversation: content, thoughts and calls. If
 *     the reply was cut off, the arguments of the last call may be incomplete. Of a completed
 *     prompt, the text as content
 * @param tokens generated ids, without the one that ended the completion
 * @param logprobs of these tokens; empty if not asked for
 * @param finishReason why it ended
 * @param usage numbers of tokens
 * @param times how long it took
 */
public record GenerationResult(
    String text,
    ChatMessage message,
    List<Integer> tokens,
    List<Logprob> logprobs,
    FinishReason finishReason,
    Usage usage,
    Times times) {
  /**
   * Numbers of tokens.
   *
   * @param prompt of the prompt
   * @param cached of the prompt, those whose keys and values an earlier request had left
   * @param completion generated
   * @param reasoning of these, those of thoughts
   */
  public record Usage(int prompt, int cached, int completion, int reasoning) {}

  /**
   * Seconds.
   *
   * @param queue from its submission to its start
   * @param prefill from its start to its first token
   * @param decode from its first token to its end
   */
  public record Times(double queue, double prefill, double decode) {}

  /** Copies the lists. */
  public GenerationResult {
    tokens = List.copyOf(tokens);
    logprobs = List.copyOf(logprobs);
  }
}
