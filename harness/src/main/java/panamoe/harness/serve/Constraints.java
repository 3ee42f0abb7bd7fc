package panamoe.harness.serve;

import java.util.function.Supplier;
import panamoe.conversation.ReplyConstraints;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.ReplyForm;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import panamoe.grammar.JsonGrammar;
import tools.jackson.databind.JsonNode;

/** Makes what a text must keep to, from the fields that say so. Thread-safe. */
final class Constraints {
  private static final String FORMAT = "response_format";

  private final ReplyConstraints replies;
  private final GrammarThreads threads = new GrammarThreads();

  Constraints(Tokenizer tokenizer) {
    replies = new ReplyConstraints(tokenizer);
  }

  /**
   * As {@link #of}, on threads of its own while the request's waits. It ends when that is
   * interrupted, or the client leaves.
   *
   * @throws ApiError too if too many requests wait for those
   */
  Supplier<TokenConstraint> ofRequest(Fields fields, Tools tools, ReplyForm form, HttpExchange call)
      throws InterruptedException {
    boolean free = !tools.any() && !isFormat(fields);
    return free
        ? of(fields, tools, form)
        : threads.make(() -> of(fields, tools, form), call::hasLeft);
  }

  /**
   * Reads {@code response_format}.
   *
   * @param tools what may be called, or must be
   * @param form of the model's replies
   * @return null if the text is free
   * @throws ApiError if they ask for what cannot be kept to
   */
  Supplier<TokenConstraint> of(Fields fields, Tools tools, ReplyForm form) {
    JsonGrammar json = json(fields.inner(FORMAT));
    if ((json != null || tools.any()) && fields.flag("ignore_eos")) {
      throw fields.wrong(
          "ignore_eos", "does not go with tools or a " + FORMAT + ", which have an end");
    }
    try {
      return replies.of(form, json, tools);
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), tools.any() ? "tools" : FORMAT);
    }
  }

  /** Whether a request asks for a form that its texts keep to from their beginning. */
  static boolean isFormat(Fields fields) {
    return !fields.given(FORMAT).at("/" + FORMAT + "/type").asString("text").equals("text");
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
        format.require(schema != null, "json_schema.schema", "is missing");
        named.ignore("name", "description", "strict"); // every schema is kept to
        named.requireNoOthers();
        yield JsonGrammar.of(schema);
      }
      default -> throw format.wrong("type", "is none of text, json_object and json_schema");
    };
  }
}
