package panamoe.conversation.reply;

/**
 * Takes an assistant's text apart, piece by piece: thoughts, content, calls. Special tokens are in
 * the text as {@link panamoe.data.Markers}, each in one piece.
 */
@FunctionalInterface
interface ReplyReader {
  /** Takes all of a text as content. */
  ReplyReader CONTENT = (piece, into) -> into.say(piece);

  /**
   * The length of a marker's beginning at the end of a text. A limit on tokens may cut a character
   * of the marker: U+FFFD behind its beginning counts too.
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
   * Tells what was held back, at the end of the text.
   *
   * @param cut whether a limit or a stop text ended it: then a piece of a marker at its end, or of
   *     what is before a call's arguments, is no content
   */
  default void end(boolean cut, Reply into) {}

  /** Whether what was read ends in the midst of thoughts. */
  default boolean thinking() {
    return false;
  }
}
