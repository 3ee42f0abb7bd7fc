package panamoe.grammar;

import static panamoe.grammar.Rules.choice;
import static panamoe.grammar.Rules.literal;
import static panamoe.grammar.Rules.one;
import static panamoe.grammar.Rules.optional;
import static panamoe.grammar.Rules.repeat;
import static panamoe.grammar.Rules.sequence;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import panamoe.data.regex.CodeSet;

/**
 * Rules of numbers. The number of digits is bounded, so that no output is one endless number.
 *
 * @param low digits of the smallest number of this length
 * @param high digits of the largest
 * @param whole how many of them precede the point
 */
record NumberRules(String low, String high, int whole) {
  /** The keywords about numbers. */
  static final List<String> KEYWORDS =
      List.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format");

  /** Maximum of digits before the point. */
  static final int MOST_DIGITS = 18;

  /** Maximum of digits after the point. */
  static final int MOST_PLACES = 15;

  /** Maximum of exponent digits; only numbers without bounds have an exponent. */
  private static final int MOST_EXPONENT = 2;

  private static final Set<String> INTEGER_FORMATS = Set.of("int32", "int64");
  private static final Set<String> NUMBER_FORMATS = Set.of("float", "double");
  private static final BigDecimal LEAST_INT = BigDecimal.valueOf(Integer.MIN_VALUE);
  private static final BigDecimal MOST_INT = BigDecimal.valueOf(Integer.MAX_VALUE);

  private static final Rule DIGIT = digits('0', '9');
  private static final Rule NATURAL =
      choice(literal("0"), sequence(digits('1', '9'), repeat(DIGIT, 0, MOST_DIGITS - 1)));

  static final Rule INTEGER =
      choice(
          literal("0"),
          sequence(optional(literal("-")), digits('1', '9'), repeat(DIGIT, 0, MOST_DIGITS - 1)));

  static final Rule NUMBER =
      sequence(
          optional(literal("-")),
          NATURAL,
          optional(sequence(literal("."), repeat(DIGIT, 1, MOST_PLACES))),
          optional(
              sequence(
                  one(CodeSet.of('e').union(CodeSet.of('E'))),
                  optional(one(CodeSet.of('+').union(CodeSet.of('-')))),
                  repeat(DIGIT, 1, MOST_EXPONENT))));

  /** The rule of the numbers of a schema. */
  static Rule rule(Schema schema, boolean integer) {
    BigDecimal low = schema.number("minimum");
    BigDecimal high = schema.number("maximum");
    BigDecimal above = schema.number("exclusiveMinimum");
    BigDecimal below = schema.number("exclusiveMaximum");
    if (schema.has("format") && schema.text("format").equals("int32")) {
      low = low == null ? LEAST_INT : low.max(LEAST_INT);
      high = high == null ? MOST_INT : high.min(MOST_INT);
    }
    boolean lowOpen = above != null && (low == null || above.compareTo(low) >= 0);
    boolean highOpen = below != null && (high == null || below.compareTo(high) <= 0);
    low = lowOpen ? above : low;
    high = highOpen ? below : high;
    return low == null && high == null
        ? integer ? INTEGER : NUMBER
        : between(low, lowOpen, high, highOpen, integer ? 0 : MOST_PLACES);
  }

  /** Whether a format does not restrict numbers of these types further. */
  static boolean knows(String format, Set<String> types) {
    return types.contains("integer") && INTEGER_FORMATS.contains(format)
        || types.contains("number") && NUMBER_FORMATS.contains(format);
  }

  /**
   * The numbers within bounds.
   *
   * @param low the minimum; null for none
   * @param high the maximum; null for none
   * @param lowOpen whether the minimum is exclusive
   * @param highOpen whether the maximum is exclusive
   * @param places digits after the point; 0 for integers
   */
  static Rule between(
      BigDecimal low, boolean lowOpen, BigDecimal high, boolean highOpen, int places) {
    BigDecimal unit = BigDecimal.ONE.movePointLeft(places);
    BigDecimal most = BigDecimal.TEN.pow(MOST_DIGITS).subtract(unit);
    // With a fixed number of places, an exclusive bound is the next number, inclusive.
    BigDecimal least = most.negate();
    if (low != null) {
      BigDecimal rounded = low.setScale(places, RoundingMode.CEILING);
      least = least.max(lowOpen && rounded.compareTo(low) == 0 ? rounded.add(unit) : rounded);
    }
    if (high != null) {
      BigDecimal rounded = high.setScale(places, RoundingMode.FLOOR);
      most = most.min(highOpen && rounded.compareTo(high) == 0 ? rounded.subtract(unit) : rounded);
    }
    return choice(
        magnitudes(least.max(BigDecimal.ZERO), most, places),
        sequence(literal("-"), magnitudes(most.negate().max(unit), least.negate(), places)));
  }

  /** The numbers from a minimum to a maximum, both at least 0, by their digits before the point. */
  private static Rule magnitudes(BigDecimal least, BigDecimal most, int places) {
    List<Rule> rules = new ArrayList<>();
    BigDecimal unit = BigDecimal.ONE.movePointLeft(places);
    for (int whole = 1; whole <= MOST_DIGITS; whole++) {
      BigDecimal first = whole == 1 ? BigDecimal.ZERO : BigDecimal.TEN.pow(whole - 1);
      BigDecimal last = BigDecimal.TEN.pow(whole).subtract(unit);
      BigDecimal low = least.max(first);
      BigDecimal high = most.min(last);
      if (low.compareTo(high) <= 0) {
        int digits = whole + places;
        NumberRules range =
            new NumberRules(padded(low, places, digits), padded(high, places, digits), whole);
        rules.add(range.from(0, true, true));
      }
    }
    return choice(rules);
  }

  private static String padded(BigDecimal value, int places, int digits) {
    String text = value.movePointRight(places).toBigIntegerExact().toString();
    return "0".repeat(digits - text.length()) + text;
  }

  /**
   * The rest of a number after some digits.
   *
   * @param onLow whether the digits so far equal the minimum's
   * @param onHigh whether they equal the maximum's
   */
  private Rule from(int at, boolean onLow, boolean onHigh) {
    boolean boundLow = onLow && !isAll(low, at, '0');
    boolean boundHigh = onHigh && !isAll(high, at, '9');
    if (at < whole) {
      return boundLow || boundHigh
          ? digit(at, boundLow, boundHigh)
          : sequence(repeat(DIGIT, whole - at, whole - at), from(whole, false, false));
    }
    if (at == low.length()) {
      return Rule.EMPTY;
    }
    Rule more =
        boundLow || boundHigh
            ? digit(at, boundLow, boundHigh)
            : repeat(DIGIT, at == whole ? 1 : 0, low.length() - at);
    Rule point = at == whole ? literal(".") : Rule.EMPTY;
    return choice(boundLow ? Rule.NEVER : Rule.EMPTY, sequence(point, more));
  }

  private Rule digit(int at, boolean onLow, boolean onHigh) {
    char first = onLow ? low.charAt(at) : '0';
    char last = onHigh ? high.charAt(at) : '9';
    List<Rule> rules = new ArrayList<>();
    if (onLow || first == last) {
      rules.add(sequence(digits(first, first), from(at + 1, onLow, onHigh && first == last)));
    }
    if (onHigh && first != last) {
      rules.add(sequence(digits(last, last), from(at + 1, false, true)));
    }
    char second = (char) (onLow ? first + 1 : first);
    char beforeLast = (char) (onHigh ? last - 1 : last);
    if (second <= beforeLast && first != last) {
      rules.add(sequence(digits(second, beforeLast), from(at + 1, false, false)));
    }
    return choice(rules);
  }

  private static boolean isAll(String digits, int from, char digit) {
    return digits.substring(from).chars().allMatch(one -> one == digit);
  }

  private static Rule digits(char first, char last) {
    return one(CodeSet.range(first, last));
  }
}
