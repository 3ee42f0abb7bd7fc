package panamoe.grammar;

import static panamoe.grammar.Rules.sequence;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.SortedMap;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import tools.jackson.databind.JsonNode;

/**
 * Output that calls functions in a model's markup ({@link CallMarkup}). A space may precede the
 * first call. Immutable and thread-safe.
 */
public final class CallGrammar {
  private final CallMarkup form;

  /** What follows an opener. */
  private final Rule opened;

  private CallGrammar(CallMarkup form, Rule opened) {
    this.form = form;
    this.opened = opened;
  }

  /**
   * A grammar of calls of some functions.
   *
   * @param functions for each function, the schema of its arguments by its name of ASCII letters,
   *     digits, _ and -
   * @param several whether there may be several calls, if the markup allows that
   * @throws IllegalArgumentException if a schema is not supported, as for {@link JsonGrammar#of};
   *     the message begins with the function's name. All schemas share one budget
   * @throws CancellationException if the thread is interrupted; its interrupt status stays set
   */
  public static CallGrammar of(CallMarkup form, Map<String, JsonNode> functions, boolean several) {
    SortedMap<byte[], Rule> names = WordList.map();
    SchemaLimits budget = new SchemaLimits();
    functions.forEach(
        (name, schema) ->
            names.put(
                name.getBytes(StandardCharsets.UTF_8),
                sequence(
                    form.calls().between().rule(),
                    arguments(form.calls().elements(), name, schema, budget),
                    form.calls().after().rule())));
    return new CallGrammar(form, form.calls().rule(WordList.rule(names), several));
  }

  private static Rule arguments(
      Elements elements, String name, JsonNode schema, SchemaLimits budget) {
    try {
      return elements == null
          ? SchemaReader.rule(schema, budget)
          : SchemaReader.elements(schema, elements, budget);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("function " + name + ": " + e.getMessage(), e);
    }
  }

  private Rule whole() {
    return sequence(form.opening().rule(), opened);
  }

  /** Whether the bytes are calls only. */
  public boolean accepts(byte[] text) {
    return State.before(whole()).accepts(text);
  }

  /** Constraints for output of calls only. */
  public Supplier<TokenConstraint> calls(TokenMasks masks) {
    State start = State.before(whole());
    return () -> new GrammarConstraint(start, masks);
  }

  /** Constraints for output of either calls or JSON. */
  public Supplier<TokenConstraint> callsOr(JsonGrammar json, TokenMasks masks) {
    State start = State.before(Rules.choice(whole(), sequence(form.answer().rule(), json.rule())));
    return () -> new GrammarConstraint(start, masks);
  }

  /**
   * Constraints for free text that may end or turn into calls at an opener.
   *
   * @param free from {@link #freeText} for the same tokenizer and markup
   */
  public Supplier<TokenConstraint> callsAfter(FreeText free, TokenMasks masks) {
    State start = State.before(opened);
    return () -> free.until(() -> new GrammarConstraint(start, masks));
  }

  /** The free text before a call; create it once for each tokenizer. */
  public static FreeText freeText(Tokenizer tokenizer, CallMarkup form) {
    return new FreeText(tokenizer, form.openings(), form.before());
  }
}
