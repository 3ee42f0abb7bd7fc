package panamoe.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Parses untrusted JSON: no duplicate keys, bounded depth and numbers, only UTF-8. */
public final class StrictJson {
  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(64)
                  .maxNumberLength(40)
                  .maxNameLength(10_000)
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .build();

  private static final ObjectMapper MAPPER =
      new ObjectMapper(FACTORY)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(SerializationFeature.INDENT_OUTPUT);

  private static final ObjectReader VALUES =
      MAPPER.reader().without(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private StrictJson() {}

  /** A streaming parser; reading malformed UTF-8 throws {@link CharacterCodingException}. */
  public static JsonParser parser(InputStream utf8) throws IOException {
    return FACTORY.createParser(reader(utf8));
  }

  /** The value at which a streaming parser is; moves to the value's end. */
  public static JsonNode value(JsonParser parser) throws IOException {
    return VALUES.readTree(parser);
  }

  /** Parses one JSON value; {@link #reason} describes the exception of malformed JSON. */
  public static JsonNode tree(byte[] utf8) throws IOException {
    return MAPPER.readTree(reader(new ByteArrayInputStream(utf8)));
  }

  /** The object as indented UTF-8; equal objects give equal bytes. */
  public static byte[] bytes(JsonNode node) {
    try {
      return MAPPER.writeValueAsBytes(node);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot write as JSON: " + reason(e), e);
    }
  }

  /** Describes why JSON could not be read, in plain words. */
  public static String reason(IOException e) {
    if (e instanceof CharacterCodingException) {
      return "it is not UTF-8";
    }
    return e instanceof JsonProcessingException json ? JsonError.what(json) : FileErrors.reason(e);
  }

  /** The reason with line and column, which only the parser knows if a bound was exceeded. */
  public static String reason(IOException e, JsonParser parser) {
    return switch (e) {
      case StreamConstraintsException bound when bound.getLocation() == null ->
          JsonError.of(bound, parser.currentLocation());
      case JsonProcessingException json -> JsonError.of(json, json.getLocation());
      default -> reason(e);
    };
  }

  private static Reader reader(InputStream utf8) {
    return new InputStreamReader(utf8, StandardCharsets.UTF_8.newDecoder());
  }
}
