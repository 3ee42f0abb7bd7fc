package panamoe.io;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.InputCoercionException;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.exc.InvalidTypeIdException;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.introspect.AnnotatedMember;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.type.LogicalType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Configuration records as JSON. Reading is strict: an unknown, missing, repeated or mistyped key
 * is refused with its path, and a value that the record refuses with the record's own words.
 */
public final class ConfigJson {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .defaultPropertyInclusion(
              JsonInclude.Value.construct(
                  JsonInclude.Include.NON_NULL, JsonInclude.Include.NON_NULL))
          .annotationIntrospector(new RequiredUnlessOmittable())
          .enable(DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .withCoercionConfig(
              LogicalType.Integer,
              c -> c.setCoercion(CoercionInputShape.Float, CoercionAction.Fail))
          .build();

  private static final int MAX_BYTES = 1 << 24;

  private ConfigJson() {}

  /** A component that is not {@link Omittable} must be there. */
  private static final class RequiredUnlessOmittable extends JacksonAnnotationIntrospector {
    @Override
    public Boolean hasRequiredMarker(AnnotatedMember member) {
      return !member.hasAnnotation(Omittable.class);
    }
  }

  /**
   * Reads a record from a file.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public static <T> T read(Path file, Class<T> type) {
    try (JsonParser parser = JSON.createParser(bytes(file))) {
      return required(JSON.readValue(parser, type), file.toString());
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(file + ": " + sentence(e), e);
    } catch (NoSuchFileException e) {
      throw new IllegalArgumentException("there is no file " + file, e);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot read " + file + ": " + FileTrouble.reason(e), e);
    }
  }

  /**
   * Reads a record from JSON text.
   *
   * @param source what the text is, for messages
   * @throws IllegalArgumentException with the source, the JSON path and what is wrong
   */
  public static <T> T parse(String text, Class<T> type, String source) {
    try {
      return required(JSON.readValue(text, type), source);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(source + ": " + sentence(e), e);
    }
  }

  /**
   * Reads a file as a JSON tree.
   *
   * @throws IllegalArgumentException with the file and what is wrong
   */
  public static JsonNode tree(Path file) {
    return read(file, JsonNode.class);
  }

  /** Reads a file or a pipe, up to a limit because a pipe may not end. */
  private static byte[] bytes(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw new IllegalArgumentException(
            file + " is too long: it has more than " + MAX_BYTES + " bytes");
      }
      return bytes;
    }
  }

  /**
   * Reads a record from a JSON tree.
   *
   * @param source what the tree was read from, for messages
   */
  public static <T> T read(JsonNode tree, Class<T> type, String source) {
    try {
      return required(JSON.treeToValue(tree, type), source);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(source + ": " + sentence(e), e);
    }
  }

  /** The record as a JSON tree, with numbers as they will be read back. */
  public static JsonNode tree(Record config) {
    try {
      return JSON.readTree(text(config));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("what was written is always readable", e);
    }
  }

  /** The record as indented JSON. */
  public static String text(Record config) {
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(config) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a config is always writable", e);
    }
  }

  private static String sentence(JsonProcessingException e) {
    if (e instanceof UnrecognizedPropertyException unknown) {
      return "unknown key \""
          + unknown.getPropertyName()
          + "\" at "
          + path(unknown)
          + "; known here: "
          + unknown.getKnownPropertyIds();
    }
    if (e.getCause() instanceof IllegalArgumentException refused) {
      return e instanceof JsonMappingException mapping
          ? at(mapping) + refused.getMessage()
          : refused.getMessage();
    }
    if (e instanceof MismatchedInputException mapping
        && e.getOriginalMessage().startsWith("Missing required creator property")) {
      return at(mapping) + "this key is missing";
    }
    if (e instanceof InvalidTypeIdException unknown) {
      String kinds =
          Arrays.stream(
                  unknown.getBaseType().getRawClass().getAnnotation(JsonSubTypes.class).value())
              .map(each -> "\"" + each.name() + "\"")
              .collect(Collectors.joining(", "));
      String given = unknown.getTypeId();
      return at(unknown)
          + (given == null ? "\"kind\" is missing" : "kind is \"" + given + "\"")
          + ", expected one of "
          + kinds;
    }
    if (e instanceof MismatchedInputException mapping && mapping.getTargetType() != null) {
      return at(mapping) + "expected " + kind(mapping.getTargetType());
    }
    JsonLocation location = e.getLocation();
    String where =
        location == null
            ? ""
            : " (line " + location.getLineNr() + ", column " + location.getColumnNr() + ")";
    String what = e.getOriginalMessage();
    if (what.startsWith("Duplicate field")) {
      return "a key is there twice: " + what.substring("Duplicate field ".length()) + where;
    }
    if (e instanceof InputCoercionException || e.getCause() instanceof InputCoercionException) {
      return e instanceof JsonMappingException mapping && !mapping.getPath().isEmpty()
          ? at(mapping) + "the number is out of range"
          : "a number is out of range" + where;
    }
    boolean tooMuch =
        e instanceof StreamConstraintsException
            || e.getCause() instanceof StreamConstraintsException;
    return (tooMuch ? "too long or too deeply nested" : "this is not JSON") + where;
  }

  /** The JSON kind of a value of the type, for messages. */
  private static String kind(Class<?> type) {
    if (type.isEnum()) {
      return "one of "
          + Arrays.stream(type.getEnumConstants()).map(each -> "\"" + each + "\"").toList();
    }
    if (type == boolean.class) {
      return "true or false";
    }
    if (type == double.class || type == float.class || type == Double.class) {
      return "a number";
    }
    if (type == int.class || type == long.class || type == Integer.class) {
      return "a whole number";
    }
    return List.class.isAssignableFrom(type) ? "an array" : "an object";
  }

  private static <T> T required(T read, String source) {
    if (read == null) {
      throw new IllegalArgumentException(source + ": expected an object, not null");
    }
    return read;
  }

  private static String at(JsonMappingException e) {
    return "at " + path(e) + ": ";
  }

  private static String path(JsonMappingException e) {
    return e.getPath().stream()
        .map(
            step ->
                step.getFieldName() != null
                    ? "." + step.getFieldName()
                    : "[" + step.getIndex() + "]")
        .collect(Collectors.joining("", "$", ""));
  }
}
