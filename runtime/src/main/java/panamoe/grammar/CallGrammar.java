package panamoe.grammar;

import static panamoe.grammar.Rules.literal;
import static panamoe.grammar.Rules.optional;
import static panamoe.grammar.Rules.sequence;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.SortedMap;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.TokenConstraint;

/**
 * Texts that call functions, each call in the form {@code <tool_call>{"name": "NAME", "arguments":
 * {...}}</tool_call>}. A new line may come after the first tag, before the last and between calls,
 * a space before the first call. Immutable and thread-safe.
 */
public final class CallGrammar {
  /** Before a call. */
  public static final String OPEN = "<tool_call>";

  /** After a call. */
  public static final String CLOSE = "</tool_call>";

  private static final Rule LINE = optional(literal("\n"));

  /** From after the first {@link #OPEN}. */
  private final Rule opened;

  private CallGrammar(Rule opened) {
    this.opened = opened;
  }

  /**
   * Calls of some functions.
   *
   * @param functions the schema of each one's arguments, by its name
   * @param several whether a text may call more than once
   * @throws IllegalArgumentException if a schema is not supported, as for {@link JsonGrammar#of};
   *     the message begins with the function's name
   */
  public static CallGrammar of(Map<String, JsonNode> functions, boolean several) {
    SortedMap<byte[], Rule> names = WordList.map();
    functions.forEach(
        (name, schema) ->
            names.put(
                TextNode.valueOf(name).toString().getBytes(StandardCharsets.UTF_8),
                sequence(
                    JsonRules.COMMA,
                    literal("\"arguments\""),
                    JsonRules.COLON,
                    arguments(name, schema),
                    literal("}"))));
    Rule call =
        sequence(
            LINE,
            literal("{\"name\""),
            JsonRules.COLON,
            WordList.rule(names),
            LINE,
            literal(CLOSE));
    Rule more = sequence(LINE, literal(OPEN), call);
    return new CallGrammar(
        several ? sequence(call, Rules.repeat(more, 0, Rule.Repeat.ENDLESS)) : call);
  }

  private static Rule arguments(String name, JsonNode schema) {
    try {
      return SchemaReader.rule(schema);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("function " + name + ": " + e.getMessage(), e);
    }
  }

  private Rule whole() {
    return sequence(optional(literal(" ")), literal(OPEN), opened);
  }

  /** Whether the bytes are calls and nothing else. */
  public boolean accepts(byte[] text) {
    return State.before(whole()).accepts(text);
  }

  /** Makes constraints of texts that are calls and nothing else. */
  public Supplier<TokenConstraint> calls(TokenMasks masks) {
    State start = State.before(whole());
    return () -> new GrammarConstraint(start, masks);
  }

  /** Makes constraints of texts that are either calls or JSON. */
  public Supplier<TokenConstraint> callsOr(JsonGrammar json, TokenMasks masks) {
    State start = State.before(Rules.choice(whole(), json.rule()));
    return () -> new GrammarConstraint(start, masks);
  }

  /**
   * Makes constraints of free texts, which keep to a call from {@link #OPEN} on and may end after
   * it.
   *
   * @param free of {@link #freeText} for the same tokenizer
   */
  public Supplier<TokenConstraint> callsAfter(FreeText free, TokenMasks masks) {
    State start = State.before(opened);
    return () -> free.until(() -> new GrammarConstraint(start, masks));
  }

  /** Free text before a call; made once for a tokenizer. */
  public static FreeText freeText(Tokenizer tokenizer) {
    return new FreeText(tokenizer, OPEN);
  }
}
