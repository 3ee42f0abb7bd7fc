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
 * Texts that call functions, each in a model's form ({@link CallMarkup}). A space may come before
 * the first call. Immutable and thread-safe.
 */
public final class CallGrammar {
  private final CallMarkup form;

  /** From behind an opening of the form. */
  private final Rule opened;

  private CallGrammar(CallMarkup form, Rule opened) {
    this.form = form;
    this.opened = opened;
  }

  /**
   * Calls of some functions.
   *
   * @param functions the schema of each one's arguments, by its name of ASCII letters, digits, _
   *     and -
   * @param several whether a text may call more than once, where the form has that
   * @throws IllegalArgumentException if a schema is not supported, as for {@link JsonGrammar#of};
   *     the message begins with the function's name; one bound holds for all of them together
   * @throws CancellationException if the thread is interrupted, which it remains
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
                    arguments(name, schema, budget),
                    form.calls().after().rule())));
    return new CallGrammar(form, form.calls().rule(WordList.rule(names), several));
  }

  private static Rule arguments(String name, JsonNode schema, SchemaLimits budget) {
    try {
      return SchemaReader.rule(schema, budget);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("function " + name + ": " + e.getMessage(), e);
    }
  }

  private Rule whole() {
    return sequence(form.opening().rule(), opened);
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
    State start = State.before(Rules.choice(whole(), sequence(form.answer().rule(), json.rule())));
    return () -> new GrammarConstraint(start, masks);
  }

  /**
   * Makes constraints of free texts, which keep to a call from an opening on and may end after it.
   *
   * @param free of {@link #freeText} for the same tokenizer and form
   */
  public Supplier<TokenConstraint> callsAfter(FreeText free, TokenMasks masks) {
    State start = State.before(opened);
    return () -> free.until(() -> new GrammarConstraint(start, masks));
  }

  /** Free text before a call; made once for a tokenizer. */
  public static FreeText freeText(Tokenizer tokenizer, CallMarkup form) {
    return new FreeText(tokenizer, form.openings(), form.before());
  }
}
