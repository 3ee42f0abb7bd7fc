package panamoe.grammar;

import static panamoe.grammar.Rules.literal;
import static panamoe.grammar.Rules.optional;
import static panamoe.grammar.Rules.sequence;

import java.util.List;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.data.regex.CodeSet;

/**
 * How a family of models writes calls of functions, and what it writes before a plain answer.
 * Immutable and thread-safe.
 */
public final class CallForm {
  private static final Rule LINE = optional(literal("\n"));
  private static final Rule SPACE = optional(literal(" "));
  private static final Rule NAME = sequence(literal("{\"name\""), JsonRules.COLON, literal("\""));
  private static final Rule ARGUMENTS =
      sequence(literal("\""), JsonRules.COMMA, literal("\"arguments\""), JsonRules.COLON);

  private static final Rule LETTER_OR_DIGIT =
      Rules.one(
          CodeSet.range('0', '9').union(CodeSet.range('A', 'Z')).union(CodeSet.range('a', 'z')));
  private static final Rule MISTRAL_ID = Rules.repeat(LETTER_OR_DIGIT, 9, 9);

  /** Before a call in Hermes' form. */
  public static final String OPEN = "<tool_call>";

  /** After a call in Hermes' form. */
  public static final String CLOSE = "</tool_call>";

  /**
   * {@code <tool_call>{"name": "NAME", "arguments": {...}}</tool_call>}, of Hermes' and Qwen's
   * models. A new line may come after the first tag, before the last and between calls.
   */
  public static final CallForm HERMES =
      new CallForm(
          List.of(OPEN),
          "",
          sequence(SPACE, literal(OPEN)),
          new Parts(
              sequence(LINE, NAME),
              ARGUMENTS,
              sequence(literal("}"), LINE, literal(CLOSE)),
              sequence(LINE, literal(OPEN), LINE, NAME),
              Rule.EMPTY),
          Rule.EMPTY);

  /**
   * The rules around names and arguments.
   *
   * @param first before the first name
   * @param between a name and its arguments
   * @param after arguments
   * @param next before another name; {@link Rule#NEVER} if a text calls once
   * @param last behind all calls
   */
  private record Parts(Rule first, Rule between, Rule after, Rule next, Rule last) {}

  private final List<String> openings;
  private final String before;
  private final Rule opening;
  private final Parts parts;
  private final Rule answer;

  private CallForm(List<String> openings, String before, Rule opening, Parts parts, Rule answer) {
    this.openings = openings;
    this.before = before;
    this.opening = opening;
    this.parts = parts;
    this.answer = answer;
  }

  /**
   * {@code [TOOL_CALLS] [{"name": "NAME", "arguments": {...}}, ...]}, of Mixtral and other models
   * whose tokenizer is Mistral's v3 or v7.
   */
  public static CallForm mistral(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "[TOOL_CALLS]");
    return new CallForm(
        List.of(open),
        "",
        sequence(SPACE, marked(open)),
        new Parts(
            sequence(SPACE, literal("["), NAME),
            ARGUMENTS,
            literal("}"),
            sequence(JsonRules.COMMA, NAME),
            literal("]")),
        Rule.EMPTY);
  }

  /**
   * {@code [TOOL_CALLS]NAME[ARGS]{...}} for each call, of Mistral's models whose tokenizer is v11
   * or later. Those of v11 write {@code [CALL_ID]} and nine letters or digits behind the name.
   */
  public static CallForm mistralV11(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "[TOOL_CALLS]");
    return new CallForm(
        List.of(open),
        "",
        marked(open),
        new Parts(
            Rule.EMPTY,
            sequence(
                optional(sequence(marked(Markers.in(tokenizer, "[CALL_ID]")), MISTRAL_ID)),
                marked(Markers.in(tokenizer, "[ARGS]"))),
            Rule.EMPTY,
            marked(open),
            Rule.EMPTY),
        Rule.EMPTY);
  }

  /**
   * Calls between DeepSeek's markers.
   *
   * @param fenced whether a type comes before a name, and arguments are in a block of code, as in
   *     V3 and R1; else as in V3.1
   */
  public static CallForm deepSeek(Tokenizer tokenizer, boolean fenced) {
    String open = Markers.in(tokenizer, "<｜tool▁calls▁begin｜>");
    Rule begin = marked(Markers.in(tokenizer, "<｜tool▁call▁begin｜>"));
    Rule separator = marked(Markers.in(tokenizer, "<｜tool▁sep｜>"));
    Rule end = marked(Markers.in(tokenizer, "<｜tool▁call▁end｜>"));
    Rule name = fenced ? sequence(begin, literal("function"), separator) : begin;
    return new CallForm(
        List.of(open),
        "",
        marked(open),
        new Parts(
            name,
            fenced ? literal("\n```json\n") : separator,
            fenced ? sequence(literal("\n```"), end) : end,
            fenced ? sequence(LINE, name) : name,
            marked(Markers.in(tokenizer, "<｜tool▁calls▁end｜>"))),
        Rule.EMPTY);
  }

  /**
   * A message to {@code functions.NAME}, of GPT-OSS, whose answers are messages of the channels
   * analysis, commentary and final. The prompt ends within the first one's header.
   */
  public static CallForm harmony(Tokenizer tokenizer) {
    String channel = Markers.in(tokenizer, "<|channel|>");
    String message = Markers.in(tokenizer, "<|message|>");
    String start = Markers.in(tokenizer, "<|start|>") + "assistant";
    Rule constrained = marked(Markers.in(tokenizer, "<|constrain|>") + "json");
    String to = " to=functions.";
    return new CallForm(
        List.of(channel + "commentary" + to, channel + "analysis" + to, start + to),
        start,
        marked(channel + "commentary" + to),
        new Parts(
            Rule.EMPTY,
            sequence(
                optional(marked(channel + "commentary")),
                optional(Rules.choice(literal(" json"), sequence(SPACE, constrained))),
                marked(message)),
            Rule.EMPTY,
            Rule.NEVER,
            Rule.EMPTY),
        marked(channel + "final" + message));
  }

  private static Rule marked(String text) {
    return literal(Markers.bytes(text));
  }

  /** What comes before a first name in free text, one of these; with {@link Markers}. */
  List<String> openings() {
    return openings;
  }

  /** What a prompt ends with, that an opening may begin with. */
  String before() {
    return before;
  }

  /** A text that calls from its beginning, up to what comes before a name. */
  Rule opening() {
    return opening;
  }

  /** What comes before a plain answer. */
  Rule answer() {
    return answer;
  }

  /**
   * Calls, from behind an opening.
   *
   * @param named reads a name, what comes between, arguments, and what comes after
   */
  Rule calls(Rule named, boolean several) {
    Rule more = sequence(parts.next, named);
    return sequence(
        parts.first,
        named,
        several ? Rules.repeat(more, 0, Rule.Repeat.ENDLESS) : Rule.EMPTY,
        parts.last);
  }

  Rule between() {
    return parts.between;
  }

  Rule after() {
    return parts.after;
  }
}
