package panamoe.grammar;

import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import panamoe.engine.sample.TokenConstraint;
import tools.jackson.databind.JsonNode;

/**
 * The JSON that a schema allows, in the form that a model may write: at most one space after colons
 * and commas, no other white space, and members in the schema's order. docs/structured-output.md
 * lists the supported part of JSON Schema. Immutable and thread-safe.
 */
public final class JsonGrammar {
  private static final JsonGrammar ANY_OBJECT =
      new JsonGrammar(
          new ObjectRules(JsonRules.OBJECT, List.of(), JsonRules.VALUE, SchemaLimits.FREE).rule());

  private final Rule rule;
  private final State start;

  private JsonGrammar(Rule rule) {
    this.rule = rule;
    start = State.before(rule);
  }

  Rule rule() {
    return rule;
  }

  /** The state before the first byte. */
  State start() {
    return start;
  }

  /**
   * The grammar of a schema.
   *
   * @throws IllegalArgumentException if the schema is malformed, too large, unsatisfiable, or has
   *     an unsupported keyword; the message names the keyword and its position
   * @throws CancellationException if the thread is interrupted; its interrupt status stays set
   */
  public static JsonGrammar of(JsonNode schema) {
    return new JsonGrammar(SchemaReader.rule(schema, new SchemaLimits()));
  }

  /** Any JSON object. */
  public static JsonGrammar anyObject() {
    return ANY_OBJECT;
  }

  /**
   * A schema without the keywords that {@link #of} does not support: it allows the same values, and
   * others.
   */
  public static JsonNode followable(JsonNode schema) {
    return Keywords.followable(schema);
  }

  /** Whether the bytes match completely. */
  public boolean accepts(byte[] text) {
    return start.accepts(text);
  }

  /**
   * Makes a constraint for each sequence.
   *
   * @param masks of the model's tokenizer
   */
  public Supplier<TokenConstraint> constraint(TokenMasks masks) {
    return () -> new GrammarConstraint(start, masks);
  }

  /** Constraints for output that begins with what the markup has before an answer. */
  public Supplier<TokenConstraint> constraint(TokenMasks masks, CallMarkup form) {
    State before = State.before(Rules.sequence(form.answer().rule(), rule));
    return () -> new GrammarConstraint(before, masks);
  }
}
