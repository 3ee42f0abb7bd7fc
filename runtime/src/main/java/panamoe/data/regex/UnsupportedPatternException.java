package panamoe.data.regex;

/**
 * A pattern is malformed, too large, or uses syntax that {@link PatternParser} does not support;
 * the message names it.
 */
public final class UnsupportedPatternException extends IllegalArgumentException {
  UnsupportedPatternException(String message) {
    super(message);
  }
}
