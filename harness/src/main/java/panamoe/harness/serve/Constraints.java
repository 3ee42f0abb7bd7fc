package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.Supplier;
import panamoe.engine.TokenConstraint;

/** What a text must keep to, from the fields that say so. */
final class Constraints {
  private Constraints() {}

  /**
   * Reads {@code response_format}, {@code tools} and {@code tool_choice}.
   *
   * @return null if the text is free
   * @throws ApiError if they ask for more than free text, which is all there is so far
   */
  static Supplier<TokenConstraint> of(Fields fields) {
    Fields format = fields.inner("response_format");
    if (format != null) {
      String type = format.text("type", "");
      if (!type.equals("text")) {
        throw ApiError.unsupported(
            "response_format.type is " + type + ", only text is supported", "response_format");
      }
      format.requireNoOthers();
    }
    fields.refuse("tools");
    JsonNode choice = fields.take("tool_choice");
    if (choice != null && !choice.asText().equals("none") && !choice.asText().equals("auto")) {
      throw ApiError.unsupported(
          "tool_choice is not supported, as there are no tools", "tool_choice");
    }
    fields.ignore("parallel_tool_calls");
    return null;
  }
}
