package panamoe.plan;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.io.Require;

/**
 * A number that predictions use, with its origin.
 *
 * @param value above 0
 * @param unit such as {@code bytes/s}
 * @param source where the value was read, or how it was found
 */
public record Constant(double value, String unit, Kind kind, String source) {
  /** How the value was found. */
  public enum Kind {
    /** Read in a data sheet, a paper or another program's source. */
    PUBLISHED,
    /** Measured on a machine. */
    MEASURED,
    /** Assumed; the source gives the reason. */
    ASSUMED,
    /** The nearest bound of a search in which no value reproduces the measured time. */
    BOUND,
    /** Fitted to published times by least squares. */
    FITTED;

    /** A constant of this kind. */
    public Constant of(double value, String unit, String source) {
      return new Constant(value, unit, this, source);
    }

    @JsonValue
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  public Constant {
    Require.that(
        value > 0 && !Double.isInfinite(value), "the value is %s, expected more than 0", value);
    Require.present("a constant's kind", kind);
    requirePrintable("a unit", unit);
    requirePrintable("a source", source);
  }

  /** Refuses nothing, and control characters, which a terminal would obey. */
  static void requirePrintable(String what, String text) {
    Require.that(text != null && !text.isBlank(), "%s is missing", what);
    Require.that(
        !text.chars().anyMatch(Character::isISOControl), "%s has a control character", what);
  }
}
