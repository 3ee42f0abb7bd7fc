package panamoe.grammar;

import java.util.List;
import java.util.Map;

/** The rule of strings of a schema: length, pattern and format. */
final class StringRules {
  /** The keywords about strings. */
  static final List<String> KEYWORDS = List.of("minLength", "maxLength", "pattern", "format");

  private static final String TIME =
      "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
  private static final String DATE =
      "([0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)"
          + "|(0[13578]|1[02])-31)|([0-9]{2}(0[48]|[2468][048]|[13579][26])"
          + "|([02468][048]|[13579][26])00)-02-29)";
  private static final String BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

  /** The supported formats as patterns. */
  private static final Map<String, String> FORMATS =
      Map.of(
          "date", "^" + DATE + "$",
          "time", "^" + TIME + "$",
          "date-time", "^" + DATE + "T" + TIME + "$",
          "uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
          "ipv4", "^" + BYTE + "(\\." + BYTE + "){3}$");

  private StringRules() {}

  /** A string in JSON. */
  static Rule rule(Schema schema, SchemaLimits budget) {
    return JsonRules.string(text(schema, budget, TextShape.QUOTE));
  }

  /**
   * The characters of a string and its end.
   *
   * @param end see {@link TextShape#rule}
   */
  static Rule text(Schema schema, SchemaLimits budget, int end) {
    int min = schema.count("minLength", 0);
    int max = schema.count("maxLength", Rule.Repeat.ENDLESS);
    String keyword = schema.has("pattern") ? "pattern" : "format";
    String pattern = schema.has("pattern") ? schema.text("pattern") : null;
    if (schema.has("format")) {
      if (pattern != null) {
        throw schema.refuse("format", "with a pattern is not supported");
      }
      pattern = FORMATS.get(schema.text("format"));
    }
    try {
      CharacterAutomaton characters = CharacterAutomaton.ANY;
      if (pattern != null) {
        Rule rule = PatternRules.of(pattern);
        if (rule == Rule.NEVER) {
          return rule;
        }
        boolean plain = end != TextShape.QUOTE && end < 0x80;
        characters = CharacterAutomaton.of(rule, budget, plain ? end : CharacterAutomaton.NOWHERE);
      }
      return characters.acceptsNothing()
          ? Rule.NEVER
          : TextShape.rule(characters, min, max, budget, end);
    } catch (IllegalArgumentException e) {
      throw schema.refuse(keyword, "cannot be followed: " + e.getMessage());
    }
  }

  static boolean knows(String format) {
    return FORMATS.containsKey(format);
  }
}
