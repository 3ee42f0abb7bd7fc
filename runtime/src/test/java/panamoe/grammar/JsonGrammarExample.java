package panamoe.grammar;

import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import tools.jackson.databind.JsonNode;

/** The example of docs/structured-output.md; a test runs it. */
final class JsonGrammarExample {
  private JsonGrammarExample() {}

  static boolean run(Tokenizer tokenizer, JsonNode schema, byte[] bytes) {
    // @start region="grammar"
    TokenMasks masks = TokenMasks.of(tokenizer); // once for a tokenizer
    JsonGrammar grammar = JsonGrammar.of(schema); // once for a schema; or JsonGrammar.anyObject()
    Supplier<TokenConstraint> constraint = grammar.constraint(masks); // of a GenerationRequest
    boolean valid = grammar.accepts(bytes); // whether a text is one of the grammar's
    // @end
    return constraint.get() != null && valid;
  }
}
