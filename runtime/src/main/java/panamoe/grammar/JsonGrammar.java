package panamoe.grammar;

import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import panamoe.engine.sample.TokenConstraint;
import tools.jackson.databind.JsonNode;

/**
 * The JSON texts that a schema allows, as a model may write them: no white space but one space
 * after a colon or a comma, and the members of an object in the order of the schema. Immutable and
 * thread-safe. What of JSON Schema is supported is told in docs/structured-output.md.
 */
public final class JsonGrammar {
  private static final JsonGrammar ANY_OBJECT =
      new JsonGrammar(new ObjectRules(List.of(), JsonRules.VALUE, SchemaLimits.FREE).rule());

  private final Rule rule;
  private final State start;

  private JsonGrammar(Rule rule) {
    this.rule = rule;
    start = State.before(rule);
  }

  Rule rule() {
    return rule;
  }

  /** Before the first byte. */
  State start() {
    return start;
  }

  /**
   * The texts of a schema.
   *
   * @throws IllegalArgumentException if the schema is malformed, too large, allows no text, or has
   *     a keyword that is not supported; the message names it and its place
   * @throws CancellationException if the thread is interrupted, which it remains
   */
  public static JsonGrammar of(JsonNode schema) {
    return new JsonGrammar(SchemaReader.rule(schema, new SchemaLimits()));
  }

  /** Any JSON object. */
  public static JsonGrammar anyObject() {
    return ANY_OBJECT;
  }

  /** Whether the bytes are one of the texts, from its first byte to its last. */
  public boolean accepts(byte[] text) {
    return start.accepts(text);
  }

  /**
   * Makes a constraint for each text that is to be one of these.
   *
   * @param masks of the model's tokenizer
   */
  public Supplier<TokenConstraint> constraint(TokenMasks masks) {
    return () -> new GrammarConstraint(start, masks);
  }

  /** Constraints of texts that begin with what a model's form has before an answer. */
  public Supplier<TokenConstraint> constraint(TokenMasks masks, CallMarkup form) {
    State before = State.before(Rules.sequence(form.answer().rule(), rule));
    return () -> new GrammarConstraint(before, masks);
  }
}
