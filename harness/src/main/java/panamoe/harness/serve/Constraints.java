package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.Supplier;
import panamoe.engine.TokenConstraint;

/** What a text must keep to, from the fields that say so. */
final class Constraints {
  private static final String FORMAT = "response_format";
  private static final String SCHEMA = "json_schema";

  private Constraints() {}

  /**
   * Reads {@code response_format}, {@code tools} and {@code tool_choice}.
   *
   * @return null if the text is free
   * @throws ApiError if they ask for what is not supported
   */
  static Supplier<TokenConstraint> of(Fields fields, Grammars grammars) {
    fields.refuse("tools");
    JsonNode choice = fields.take("tool_choice");
    if (choice != null && !choice.asText().equals("none") && !choice.asText().equals("auto")) {
      throw ApiError.unsupported(
          "tool_choice is not supported, as there are no tools", "tool_choice");
    }
    fields.ignore("parallel_tool_calls");
    Fields format = fields.inner(FORMAT);
    return format == null ? null : of(format, format.text("type", ""), grammars);
  }

  private static Supplier<TokenConstraint> of(Fields format, String type, Grammars grammars) {
    Supplier<TokenConstraint> constraint =
        switch (type) {
          case "text" -> null;
          case "json_object" -> grammars.object();
          case SCHEMA -> schema(format.inner(SCHEMA), grammars);
          default ->
              throw ApiError.unsupported(
                  "response_format.type is "
                      + (type.isEmpty() ? "missing" : type)
                      + ", expected text, json_object or json_schema",
                  FORMAT);
        };
    format.requireNoOthers();
    return constraint;
  }

  private static Supplier<TokenConstraint> schema(Fields named, Grammars grammars) {
    if (named == null) {
      throw ApiError.invalid("response_format.json_schema is missing", FORMAT);
    }
    named.ignore("name", "description", "strict"); // every schema is kept to strictly
    JsonNode schema = named.take("schema");
    named.requireNoOthers();
    if (schema == null) {
      throw ApiError.invalid("response_format.json_schema.schema is missing", FORMAT);
    }
    try {
      return grammars.schema(schema);
    } catch (IllegalArgumentException e) {
      throw ApiError.unsupported("response_format.json_schema.schema: " + e.getMessage(), FORMAT);
    }
  }
}
