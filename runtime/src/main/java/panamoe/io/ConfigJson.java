package panamoe.io;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.cfg.CoercionAction;
import tools.jackson.databind.cfg.CoercionInputShape;
import tools.jackson.databind.cfg.EnumFeature;
import tools.jackson.databind.cfg.MapperConfig;
import tools.jackson.databind.introspect.AnnotatedMember;
import tools.jackson.databind.introspect.JacksonAnnotationIntrospector;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.type.LogicalType;

/**
 * Configuration records as JSON. Reading is strict: an unknown, missing, repeated or mistyped key
 * is refused with its path, and a value that the record refuses with the record's own words.
 */
public final class ConfigJson {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .changeDefaultPropertyInclusion(
              _ ->
                  JsonInclude.Value.construct(
                      JsonInclude.Include.NON_NULL, JsonInclude.Include.NON_NULL))
          .annotationIntrospector(new RequiredUnlessOmittable())
          .enable(EnumFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
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
    public Boolean hasRequiredMarker(MapperConfig<?> config, AnnotatedMember member) {
      return !member.hasAnnotation(Omittable.class);
    }
  }

  /**
   * Reads a record from a file.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public static <T> T read(Path file, Class<T> type) {
    return read(file, type, MAX_BYTES);
  }

  /**
   * Reads a file of another greatest length.
   *
   * @param most bytes of the file
   */
  public static <T> T read(Path file, Class<T> type, int most) {
    return read(tree(file, type, most), type, file.toString());
  }

  /**
   * Reads an array of records from a file.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public static <T> List<T> list(Path file, Class<T> type) {
    JsonNode array = tree(file, List.class);
    if (!array.isArray()) {
      throw new IllegalArgumentException(
          file + ": expected " + ConfigError.kind(List.class) + ", not " + found(array));
    }
    List<T> records = new ArrayList<>();
    for (JsonNode each : array) {
      records.add(read(each, type, file + ", entry " + records.size()));
    }
    return records;
  }

  /**
   * Reads a record from JSON text.
   *
   * @param source what the text is, for messages
   * @throws IllegalArgumentException with the source, the JSON path and what is wrong
   */
  public static <T> T parse(String text, Class<T> type, String source) {
    try {
      return read(JSON.readTree(text), type, source);
    } catch (JacksonException e) {
      throw new IllegalArgumentException(source + ": " + ConfigError.inText(e, type), e);
    }
  }

  /**
   * Reads a file as a JSON tree.
   *
   * @param type that the tree is to be, for messages
   * @throws IllegalArgumentException with the file and what is wrong
   */
  public static JsonNode tree(Path file, Class<?> type) {
    return tree(file, type, MAX_BYTES);
  }

  private static JsonNode tree(Path file, Class<?> type, int most) {
    try {
      return JSON.readTree(bytes(file, most));
    } catch (JacksonException e) {
      throw new IllegalArgumentException(file + ": " + ConfigError.inText(e, type), e);
    } catch (NoSuchFileException e) {
      throw new IllegalArgumentException("there is no file " + file, e);
    } catch (NotRegularException e) {
      throw new IllegalArgumentException(FileErrors.sentence(e), e);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot read " + file + ": " + FileErrors.reason(e), e);
    }
  }

  /** Reads a regular file, also through a link, up to a limit. A pipe may stay silent for ever. */
  private static byte[] bytes(Path file, int most) throws IOException {
    PathKind found = PathKind.behind(file);
    if (found != PathKind.FILE && found != PathKind.NONE) {
      throw new NotRegularException(file, found, PathKind.FILE.words());
    }
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(most + 1);
      Require.that(bytes.length <= most, "%s is too long: it has more than %s bytes", file, most);
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
      T read = JSON.treeToValue(tree, type);
      if (read == null) {
        throw new IllegalArgumentException(
            source + ": expected " + ConfigError.kind(type) + ", not " + found(tree));
      }
      return read;
    } catch (JacksonException e) {
      throw new IllegalArgumentException(source + ": " + ConfigError.inTree(e, tree), e);
    }
  }

  private static String found(JsonNode tree) {
    return tree.isMissingNode() ? "nothing" : tree.getNodeType().name().toLowerCase(Locale.ROOT);
  }

  /** The record as a JSON tree, with numbers as they will be read back. */
  public static JsonNode tree(Record config) {
    return JSON.readTree(text(config));
  }

  /**
   * Every value of a tree by its path, such as {@code training.batch} or {@code blocks[1].kind}.
   */
  public static Map<String, String> values(JsonNode tree) {
    Map<String, String> values = new LinkedHashMap<>();
    collect("", tree, values);
    return values;
  }

  private static void collect(String path, JsonNode tree, Map<String, String> values) {
    if (tree.isEmpty()) {
      values.put(path, tree.toString());
    }
    for (int i = 0; tree.isArray() && i < tree.size(); i++) {
      collect(path + "[" + i + "]", tree.get(i), values);
    }
    tree.properties()
        .forEach(
            each ->
                collect(
                    path.isEmpty() ? each.getKey() : path + "." + each.getKey(),
                    each.getValue(),
                    values));
  }

  /** The record as indented JSON. */
  public static String text(Record config) {
    return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(config) + "\n";
  }
}
