package panamoe.harness.serve;

import java.util.List;

/**
 * Takes an assistant's text apart, piece by piece: thoughts, content, calls. Special tokens are in
 * the text as {@link panamoe.data.Markers}, each in one piece; no reader tells one as text.
 */
public interface MessageReader {
  /** What is known after a piece, beside what was known before. */
  record Read(String reasoning, String content, List<ToolCall> calls) {}

  /** Reads the next piece of the text. */
  Read next(String piece);

  /**
   * What is left at the end of the text.
   *
   * @param cut whether a limit or a stop text ended it: then a piece of a marker at its end, or of
   *     what is before a call's arguments, is no content
   */
  Read end(boolean cut);

  /** Whether what was read ends in the midst of thoughts. */
  boolean thinking();

  /** Whether the text calls, and the arguments of each call are whole. */
  boolean called();
}
