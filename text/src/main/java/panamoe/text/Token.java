package panamoe.text;

/**
 * A token that was written.
 *
 * @param id of the vocabulary; {@link #NONE} for the rest of a text that was held back, because it
 *     could have become a stop text or a character
 * @param text that became complete with it; may be empty
 */
public record Token(int id, String text) {
  /** No token. */
  public static final int NONE = -1;
}
