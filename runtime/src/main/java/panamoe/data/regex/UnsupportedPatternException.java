package panamoe.data.regex;

/**
 * A pattern that is malformed, too large, or uses what {@link Regex} does not offer; the message
 * names it.
 */
public final class UnsupportedPatternException extends RuntimeException {
  UnsupportedPatternException(String message) {
    super(message);
  }
}
