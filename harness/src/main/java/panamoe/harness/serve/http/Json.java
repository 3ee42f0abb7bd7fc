package panamoe.harness.serve.http;

import java.io.ByteArrayInputStream;
import java.util.function.IntConsumer;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** JSON of requests, which is untrusted, and of responses, which are records. */
public final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
          .build();

  /** A tree of 2 million values takes about 100 MB at most. */
  private static final int MOST_TOKENS = 2_000_000;

  private Json() {}

  /**
   * Parses a request's body.
   *
   * @param counted receives the number of values before memory is taken for them
   * @throws ApiError if it is not a JSON object
   */
  public static ObjectNode object(byte[] body, IntConsumer counted) {
    try (JsonParser parser = StrictJson.parser(new ByteArrayInputStream(body))) {
      try {
        int tokens = 0;
        for (; parser.nextToken() != null; tokens++) {
          if (tokens == MOST_TOKENS) {
            throw ApiError.invalid("the body has more than " + MOST_TOKENS + " values", null);
          }
        }
        counted.accept(tokens);
        if (StrictJson.tree(body) instanceof ObjectNode object) {
          return object;
        }
        throw ApiError.invalid("the body is not a JSON object", null);
      } catch (JacksonException e) {
        throw ApiError.invalid("the body is not JSON: " + StrictJson.reason(e, parser), null);
      }
    }
  }

  /** A record as a tree. */
  public static JsonNode tree(Object answer) {
    return MAPPER.valueToTree(answer);
  }

  /** A record, or a tree, as JSON in one line. */
  public static byte[] bytes(Object answer) {
    return MAPPER.writeValueAsBytes(answer);
  }
}
