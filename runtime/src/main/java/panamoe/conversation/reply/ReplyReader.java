package panamoe.conversation.reply;

/**
 * Separates a streamed reply into thoughts, content and calls. Special tokens come as {@link
 * panamoe.data.Markers}, each within one piece.
 */
@FunctionalInterface
interface ReplyReader {
  /** Reads everything as content. */
  ReplyReader CONTENT = (piece, into) -> into.say(piece);

  /**
   * The length of a marker's beginning at the end of a text. If a limit on tokens cut a character
   * of the marker, the U+FFFD after its beginning counts too.
   */
  static int begun(String marker, StringBuilder text) {
    int end = text.length();
    while (end > 0 && text.charAt(end - 1) == '\uFFFD') {
      end--;
    }
    int most = Math.min(end, marker.length() - 1);
    while (!marker.startsWith(text.substring(end - most, end))) {
      most--;
    }
    return most == 0 ? 0 : text.length() - end + most;
  }

  /** Reads the next piece of the text. */
  void next(String piece, Reply into);

  /**
   * Passes on what was held back, at the end of the reply.
   *
   * @param cut whether a limit or a stop string ended the reply: the beginning of a marker or of a
   *     call's head is then dropped, not content
   */
  default void end(boolean cut, Reply into) {}

  /** Whether the text so far ends within thoughts. */
  default boolean thinking() {
    return false;
  }
}
