package panamoe.text;

/**
 * A generated token.
 *
 * @param id in the vocabulary; {@link #NONE} for the rest of the text, which was held back because
 *     it could have become a stop string or a character
 * @param text that became complete with it; may be empty
 */
public record Token(int id, String text) {
  /** No token. */
  public static final int NONE = -1;
}
