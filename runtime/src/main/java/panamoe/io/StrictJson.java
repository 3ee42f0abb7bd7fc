package panamoe.io;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** Parses untrusted JSON: no duplicate keys, bounded depth and numbers, only UTF-8. */
public final class StrictJson {
  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(64)
                          .maxNumberLength(40)
                          .maxNameLength(10_000)
                          .build())
                  .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .disable(
              JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8) // a checksum is over escapes
          .build();

  private StrictJson() {}

  /** A streaming parser; {@link #reason} describes the exception of malformed JSON. */
  public static JsonParser parser(InputStream utf8) {
    return MAPPER.createParser(reader(utf8));
  }

  /**
   * Parses one JSON value.
   *
   * @throws JacksonException if it is malformed; {@link #reason} describes it
   */
  public static JsonNode tree(byte[] utf8) {
    return MAPPER.readTree(reader(new ByteArrayInputStream(utf8)));
  }

  /** The object as indented UTF-8 text; equal objects give equal bytes. */
  public static byte[] bytes(JsonNode node) {
    try {
      return MAPPER.writeValueAsBytes(node);
    } catch (JacksonException e) {
      throw new IllegalArgumentException("cannot write as JSON: " + reason(e), e);
    }
  }

  /** What is wrong with JSON that was not read, in plain words. */
  public static String reason(JacksonException e) {
    return JsonError.what(e);
  }

  /** What is wrong, with line and column, which only the parser knows if a bound was crossed. */
  public static String reason(JacksonException e, JsonParser parser) {
    boolean bound = e instanceof StreamConstraintsException && e.getLocation() == null;
    return JsonError.of(e, bound ? parser.currentLocation() : e.getLocation());
  }

  private static Reader reader(InputStream utf8) {
    return new InputStreamReader(utf8, StandardCharsets.UTF_8.newDecoder());
  }
}
