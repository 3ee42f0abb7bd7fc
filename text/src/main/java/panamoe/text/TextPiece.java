package panamoe.text;

import java.util.List;

/**
 * The next piece of a completion. At least one part is not empty.
 *
 * @param reasoning next part of a reply's thoughts
 * @param content next part of its content, or of a completed prompt
 * @param calls next parts of its calls
 * @param tokens ids that were sampled since the piece before. Text that could become a stop string
 *     or a character is held back, so that a piece may have several tokens, or none
 * @param logprobs of these tokens; empty if not asked for
 */
public record TextPiece(
    String reasoning,
    String content,
    List<CallPiece> calls,
    List<Integer> tokens,
    List<Logprob> logprobs) {
  /**
   * The next part of a call of a function.
   *
   * @param index of the call in its reply
   * @param id null except in a call's first part; {@code name} too
   * @param name of the function
   * @param arguments next part of the arguments' JSON text
   */
  public record CallPiece(int index, String id, String name, String arguments) {}

  /** Copies the lists. */
  public TextPiece {
    calls = List.copyOf(calls);
    tokens = List.copyOf(tokens);
    logprobs = List.copyOf(logprobs);
  }
}
