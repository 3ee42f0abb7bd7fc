package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import panamoe.grammar.CallForm;
import panamoe.grammar.CallGrammar;
import panamoe.grammar.FreeText;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;

/** Makes what a text must keep to, from the fields that say so. Thread-safe. */
final class Constraints {
  private static final String FORMAT = "response_format";

  private final Tokenizer tokenizer;
  private final CallForm form;
  private final GrammarThreads threads = new GrammarThreads();
  // Made for the first request that needs them: they take long for a large vocabulary.
  private TokenMasks masks;
  private FreeText freeText;

  /**
   * @param form of the model's messages
   */
  Constraints(Tokenizer tokenizer, MessageForm form) {
    this.tokenizer = tokenizer;
    this.form = form.calls(tokenizer);
  }

  /**
   * As {@link #of}, on threads of its own while the request's waits. It ends when that is
   * interrupted, or the client leaves.
   *
   * @throws ApiError too if too many requests wait for those
   */
  Supplier<TokenConstraint> ofRequest(Fields fields, Tools tools, Call call)
      throws InterruptedException {
    boolean free = tools.callable().isEmpty() && !isFormat(fields);
    return free ? of(fields, tools) : threads.make(() -> of(fields, tools), call::hasLeft);
  }

  /**
   * Reads {@code response_format}.
   *
   * @param tools what may be called, or must be
   * @return null if the text is free
   * @throws ApiError if they ask for what cannot be kept to
   */
  Supplier<TokenConstraint> of(Fields fields, Tools tools) {
    JsonGrammar json = json(fields.inner(FORMAT));
    boolean free = json == null && tools.callable().isEmpty();
    if (!free && fields.flag("ignore_eos")) {
      throw fields.wrong(
          "ignore_eos", "does not go with tools or a " + FORMAT + ", which have an end");
    }
    try {
      return free ? null : of(json, tools);
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), json == null ? "tools" : FORMAT);
    }
  }

  /** Whether a request asks for a form that its texts keep to from their beginning. */
  static boolean isFormat(Fields fields) {
    return !fields.given(FORMAT).at("/" + FORMAT + "/type").asText("text").equals("text");
  }

  private Supplier<TokenConstraint> of(JsonGrammar json, Tools tools) {
    if (tools.callable().isEmpty()) {
      return json.constraint(masks(), form);
    }
    CallGrammar calls = tools.grammar(form);
    if (tools.required()) {
      return calls.calls(masks());
    }
    return json == null ? calls.callsAfter(freeText(), masks()) : calls.callsOr(json, masks());
  }

  private static JsonGrammar json(Fields format) {
    if (format == null) {
      return null;
    }
    try {
      JsonGrammar grammar = grammar(format);
      format.requireNoOthers();
      return grammar;
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

  private synchronized FreeText freeText() {
    if (freeText == null) {
      freeText = CallGrammar.freeText(tokenizer, form);
    }
    return freeText;
  }
}
