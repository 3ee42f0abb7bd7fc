package panamoe.harness.serve.model;

import java.util.function.Supplier;
import panamoe.conversation.ReplyConstraints;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.ReplyForm;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import panamoe.grammar.JsonGrammar;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;

/** Makes the constraints that a request's fields ask for. Thread-safe. */
public final class Constraints {
  private static final String FORMAT = "response_format";

  private final ReplyConstraints replies;
  private final GrammarThreads threads = new GrammarThreads();

  public Constraints(Tokenizer tokenizer) {
    replies = new ReplyConstraints(tokenizer);
  }

  /**
   * Like {@link #of}, on a separate thread while the request's thread waits. It is cancelled if
   * that thread is interrupted.
   *
   * @throws ApiError also if too many requests wait for these threads
   */
  public Supplier<TokenConstraint> ofRequest(Fields fields, Tools tools, ReplyForm form)
      throws InterruptedException {
    boolean free = !tools.any() && !isFormat(fields);
    return free ? of(fields, tools, form) : threads.make(() -> of(fields, tools, form));
  }

  /**
   * Parses {@code response_format}.
   *
   * @param tools that may or must be called
   * @param form the markup of the model's replies
   * @return null without a constraint
   * @throws ApiError if a schema is not supported
   */
  public Supplier<TokenConstraint> of(Fields fields, Tools tools, ReplyForm form) {
    JsonGrammar json = json(fields);
    if ((json != null || tools.any()) && fields.flag("ignore_eos")) {
      throw fields.wrong(
          "ignore_eos", "does not go with tools or a " + FORMAT + ", which have an end");
    }
    try {
      return replies.of(form, json, tools);
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), fields.path(tools.any() ? "tools" : FORMAT));
    }
  }

  /** Whether a request constrains completions from their first token. */
  public static boolean isFormat(Fields fields) {
    return !fields.given(FORMAT).at("/" + FORMAT + "/type").asString("text").equals("text");
  }

  private static JsonGrammar json(Fields fields) {
    Fields format = fields.inner(FORMAT);
    if (format == null) {
      return null;
    }
    try {
      JsonGrammar grammar = grammar(format);
      format.requireNoOthers();
      return grammar;
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), fields.path(FORMAT));
    }
  }

  private static JsonGrammar grammar(Fields format) {
    String type = format.text("type", "");
    return switch (type) {
      case "text" -> null;
      case "json_object" -> JsonGrammar.anyObject();
      case "json_schema" -> {
        boolean nested = format.names().contains("json_schema"); // not in Responses
        Fields named =
            nested ? format.inner("json_schema", format.required("json_schema")) : format;
        JsonNode schema = named.required("schema");
        named.ignore("name", "description", "strict"); // every schema is strict
        named.requireNoOthers();
        yield JsonGrammar.of(schema);
      }
      default -> throw format.wrong("type", "is none of text, json_object and json_schema");
    };
  }
}
