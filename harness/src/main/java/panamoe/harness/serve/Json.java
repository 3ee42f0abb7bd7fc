package panamoe.harness.serve;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.function.IntConsumer;
import panamoe.io.StrictJson;

/** JSON of requests, which is untrusted, and of responses, which are records. */
final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  /** A tree of 2 million values takes about 100 MB at most. */
  private static final int MOST_TOKENS = 2_000_000;

  private Json() {}

  /**
   * Parses a request's body.
   *
   * @param counted receives the number of values before memory is taken for them
   * @throws ApiError if it is not a JSON object
   */
  static ObjectNode object(byte[] body, IntConsumer counted) throws IOException {
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
      } catch (IOException e) {
        throw ApiError.invalid("the body is not JSON: " + StrictJson.reason(e, parser), null);
      }
    }
  }

  /** A record as JSON in one line. */
  static byte[] bytes(Object response) {
    try {
      return MAPPER.writeValueAsBytes(response);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a response is always writable", e);
    }
  }
}
