package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.TokenConstraint;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;

/** The grammars that requests ask for, each compiled once while it is in use. Thread-safe. */
final class Grammars {
  private static final int KEPT = 64;

  private final Tokenizer tokenizer;
  private final Map<JsonNode, JsonGrammar> compiled =
      new LinkedHashMap<>(KEPT, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<JsonNode, JsonGrammar> eldest) {
          return size() > KEPT;
        }
      };
  private TokenMasks masks;

  Grammars(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** Any JSON object. */
  Supplier<TokenConstraint> object() {
    return JsonGrammar.anyObject().constraint(masks());
  }

  /**
   * The texts of a schema.
   *
   * @throws IllegalArgumentException if it is not supported; names the keyword
   */
  synchronized Supplier<TokenConstraint> schema(JsonNode schema) {
    return compiled.computeIfAbsent(schema, JsonGrammar::of).constraint(masks());
  }

  /** Made for the first request that needs them: it takes a fraction of a second. */
  private synchronized TokenMasks masks() {
    if (masks == null) {
      masks = TokenMasks.of(tokenizer);
    }
    return masks;
  }
}
