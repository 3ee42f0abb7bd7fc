package panamoe.data.regex;

/**
 * A pattern is malformed, too large, or uses syntax that {@link Regex} does not support; the
 * message names it.
 */
public final class UnsupportedPatternException extends RuntimeException {
  UnsupportedPatternException(String message) {
    super(message);
  }
}
