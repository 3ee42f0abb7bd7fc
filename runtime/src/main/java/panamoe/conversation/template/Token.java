package panamoe.conversation.template;

/**
 * A token of a template's source.
 *
 * @param text its source; the content of a string
 * @param line on which it begins
 */
record Token(Kind kind, String text, int line) {
  enum Kind {
    /** Text outside of all tags. */
    DATA,
    OPEN_PRINT,
    CLOSE_PRINT,
    OPEN_TAG,
    CLOSE_TAG,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    END
  }

  boolean is(String name) {
    return (kind == Kind.NAME || kind == Kind.OPERATOR) && text.equals(name);
  }

  /** The token in messages. */
  String shown() {
    return switch (kind) {
      case DATA, END -> "the end of the template";
      case CLOSE_PRINT, CLOSE_TAG -> "the end of the tag";
      default -> "'" + (text.length() > 40 ? text.substring(0, 40) + "..." : text) + "'";
    };
  }
}
