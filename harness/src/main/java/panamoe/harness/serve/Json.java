package panamoe.harness.serve;

import java.io.ByteArrayInputStream;
import java.util.function.IntConsumer;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** JSON of requests, which is not trusted, and of answers, which are records. */
final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
          .build();

  /** A tree of 2 million values takes some 100 MB at most. */
  private static final int MOST_TOKENS = 2_000_000;

  private Json() {}

  /**
   * A request's body.
   *
   * @param counted is told how many values it has, before memory is taken for them
   * @throws ApiError if it is no JSON object
   */
  static ObjectNode object(byte[] body, IntConsumer counted) {
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

  /** A record as JSON in one line. */
  static byte[] bytes(Object answer) {
    return MAPPER.writeValueAsBytes(answer);
  }
}
