package panamoe.conversation.template;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Map;
import java.util.regex.Pattern;

final class NumberFilters {
  private static final Pattern REAL =
      Pattern.compile("[+-]?(\\d{1,400}\\.?\\d{0,400}|\\.\\d{1,400})([eE][+-]?\\d{1,9})?");

  static final Map<String, Filters.Filter> BY_NAME =
      Map.of(
          "abs", NumberFilters::abs,
          "int", NumberFilters::whole,
          "float", NumberFilters::real,
          "round", NumberFilters::round);

  private NumberFilters() {}

  private static Object abs(Object value, Arguments arguments, RenderLimits budget) {
    return value instanceof Double number
        ? (Object) Math.abs(number)
        : Math.abs(JinjaValues.whole(value));
  }

  private static Object whole(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("default", "base");
    Object otherwise = bound[0] == null ? (Object) 0L : bound[0];
    int base = bound[1] == null ? 10 : JinjaValues.count(bound[1]);
    try {
      return switch (value) {
        case Boolean _, Long _ -> JinjaValues.whole(value);
        case Double number when Math.abs(number) < Long.MAX_VALUE -> (long) (double) number;
        case Text text when base == 10 && text.chars().strip().matches("[+-]?\\d+") ->
            Long.valueOf(text.chars().strip());
        case Text text when base == 10 -> (long) real(text);
        case Text text -> Long.valueOf(text.chars().strip(), base);
        default -> otherwise;
      };
    } catch (NumberFormatException _) {
      return otherwise;
    }
  }

  private static Object real(Object value, Arguments arguments, RenderLimits budget) {
    Object given = arguments.bind("default")[0];
    Object otherwise = given == null ? (Object) 0.0 : given;
    try {
      return switch (value) {
        case Boolean _, Number _ -> JinjaValues.real(value);
        case Text text -> real(text);
        default -> otherwise;
      };
    } catch (NumberFormatException _) {
      return otherwise;
    }
  }

  private static double real(Text text) {
    String number = text.chars().strip();
    if (!REAL.matcher(number).matches()) {
      throw new NumberFormatException();
    }
    return Double.parseDouble(number);
  }

  private static Object round(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("precision", "method");
    int places = bound[0] == null ? 0 : Math.clamp(JinjaValues.whole(bound[0]), -20, 20);
    String method = bound[1] == null ? "common" : JinjaValues.text(bound[1]).chars();
    if (value instanceof Long whole && method.equals("common")) {
      return BigDecimal.valueOf(whole)
          .setScale(Math.min(0, places), RoundingMode.HALF_EVEN)
          .longValue();
    }
    double number = JinjaValues.real(value);
    if (Double.isNaN(number) || Double.isInfinite(number)) {
      return number;
    }
    RoundingMode mode =
        switch (method) {
          case "common" -> RoundingMode.HALF_EVEN;
          case "ceil" -> RoundingMode.CEILING;
          case "floor" -> RoundingMode.FLOOR;
          default -> throw new TemplateException("round has no such method");
        };
    return new BigDecimal(number).setScale(places, mode).doubleValue();
  }
}
