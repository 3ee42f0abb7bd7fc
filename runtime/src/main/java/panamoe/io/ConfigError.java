package panamoe.io;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.exc.InvalidTypeIdException;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;

/** Describes an error in a JSON configuration, in one sentence. */
final class ConfigError {
  private ConfigError() {}

  /**
   * Describes text that is not JSON. If it does not even begin like JSON, it is probably the wrong
   * file, and the message names what was expected instead of a position.
   */
  static String inText(JacksonException e, Class<?> type) {
    TokenStreamLocation place = e.getLocation();
    boolean begins = place != null && (place.getLineNr() > 1 || place.getColumnNr() > 1);
    return begins ? JsonError.of(e) : "expected " + kind(type) + ", but " + JsonError.what(e);
  }

  /**
   * Describes an error in a tree.
   *
   * @param tree that was read
   */
  static String inTree(JacksonException e, JsonNode tree) {
    if (e instanceof UnrecognizedPropertyException unknown) {
      String key = unknown.getPropertyName();
      return Words.of(
          "unknown key \"%s\" at %s%s",
          key, path(unknown), suggestion(key, keys(unknown.getReferringClass())));
    }
    if (e.getCause() instanceof IllegalArgumentException refused) {
      return at(e) + refused.getMessage();
    }
    if (e.getOriginalMessage().startsWith("Missing required creator property")) {
      return at(e) + "this key is missing" + misspelt(e, tree);
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
    if (e instanceof InputCoercionException) {
      return at(e) + "the number is out of range";
    }
    return JsonError.of(e);
  }

  /** Names an unknown key beside a missing one, the most similar of several. */
  private static String misspelt(JacksonException missing, JsonNode tree) {
    List<JacksonException.Reference> path = missing.getPath();
    JsonNode object = tree;
    for (JacksonException.Reference step : path.subList(0, path.size() - 1)) {
      object =
          step.getPropertyName() != null
              ? object.path(step.getPropertyName())
              : object.path(step.getIndex());
    }
    JacksonException.Reference last = path.getLast();
    List<String> known = keys((Class<?>) last.from());
    List<String> unknown = new ArrayList<>();
    object.propertyNames().forEach(unknown::add);
    unknown.removeAll(known);
    if (unknown.isEmpty()) {
      return "";
    }
    String key = Spelling.nearest(last.getPropertyName(), unknown).orElseGet(unknown::getFirst);
    return ", and \"" + key + "\" is unknown" + suggestion(key, known);
  }

  private static String suggestion(String key, List<String> known) {
    return Spelling.nearest(key, known)
        .map(nearest -> "; did you mean \"" + nearest + "\"?")
        .orElseGet(() -> "; known here: " + known);
  }

  /** The keys of a record in order, after the one that selects the record type. */
  private static List<String> keys(Class<?> type) {
    List<String> keys = new ArrayList<>();
    for (Class<?> each : type.getInterfaces()) {
      JsonTypeInfo info = each.getAnnotation(JsonTypeInfo.class);
      if (info != null) {
        keys.add(info.property());
      }
    }
    Arrays.stream(type.getRecordComponents()).map(ConfigError::key).forEach(keys::add);
    return keys;
  }

  private static String key(RecordComponent component) {
    JsonProperty renamed = component.getAccessor().getAnnotation(JsonProperty.class);
    return renamed == null ? component.getName() : renamed.value();
  }

  /** The JSON kind of a value of the type, for messages; of a record with the keys it must have. */
  static String kind(Class<?> type) {
    if (type.isEnum()) {
      return "one of "
          + Arrays.stream(type.getEnumConstants()).map(each -> "\"" + each + "\"").toList();
    }
    if (type == boolean.class || type == Boolean.class) {
      return "true or false";
    }
    if (type == double.class
        || type == float.class
        || type == Double.class
        || type == Float.class) {
      return "a number";
    }
    if (type == int.class || type == long.class || type == Integer.class || type == Long.class) {
      return "a whole number";
    }
    if (type == String.class) {
      return "a text";
    }
    if (type.isRecord()) {
      return Arrays.stream(type.getRecordComponents())
          .filter(each -> !each.isAnnotationPresent(Omittable.class))
          .map(each -> "\"" + key(each) + "\"")
          .collect(Collectors.joining(", ", "an object with ", ""));
    }
    return List.class.isAssignableFrom(type) ? "an array" : "an object";
  }

  private static String at(JacksonException e) {
    return e.getPath().isEmpty() ? "" : "at " + path(e) + ": ";
  }

  private static String path(JacksonException e) {
    return e.getPath().stream()
        .map(
            step ->
                step.getPropertyName() != null
                    ? "." + step.getPropertyName()
                    : "[" + step.getIndex() + "]")
        .collect(Collectors.joining("", "$", ""));
  }
}
