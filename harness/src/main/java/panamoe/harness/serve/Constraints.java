package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.TokenConstraint;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;

/** Makes what a text must keep to, from the fields that say so. Thread-safe. */
final class Constraints {
  private static final String FORMAT = "response_format";

  private final Tokenizer tokenizer;
  // Made for the first request that needs them: they take long for a large vocabulary.
  private TokenMasks masks;

  Constraints(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * Reads {@code response_format}, {@code tools} and {@code tool_choice}.
   *
   * @return null if the text is free
   * @throws ApiError if they ask for what cannot be kept to
   */
  Supplier<TokenConstraint> of(Fields fields) {
    fields.refuse("tools");
    JsonNode choice = fields.take("tool_choice");
    if (choice != null && !choice.asText().equals("none") && !choice.asText().equals("auto")) {
      throw ApiError.unsupported(
          "tool_choice is not supported, as there are no tools", "tool_choice");
    }
    fields.ignore("parallel_tool_calls");
    Fields format = fields.inner(FORMAT);
    if (format == null) {
      return null;
    }
    try {
      JsonGrammar grammar = grammar(format);
      format.requireNoOthers();
      if (grammar != null && fields.flag("ignore_eos")) {
        throw fields.wrong("ignore_eos", "does not go with a " + FORMAT + ", which has an end");
      }
      return grammar == null ? null : grammar.constraint(masks());
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), FORMAT);
    }
  }

  private static JsonGrammar grammar(Fields format) {
    String type = format.text("type", "");
    return switch (type) {
      case "text" -> null;
      case "json_object" -> JsonGrammar.anyObject();
      case "json_schema" -> {
        Fields named = format.inner("json_schema");
        JsonNode schema = named == null ? null : named.take("schema");
        if (schema == null) {
          throw format.wrong("json_schema.schema", "is missing");
        }
        named.ignore("name", "description", "strict"); // every schema is kept to
        named.requireNoOthers();
        yield JsonGrammar.of(schema);
      }
      default -> throw format.wrong("type", "is none of text, json_object and json_schema");
    };
  }

  private synchronized TokenMasks masks() {
    if (masks == null) {
      masks = TokenMasks.of(tokenizer);
    }
    return masks;
  }
}
