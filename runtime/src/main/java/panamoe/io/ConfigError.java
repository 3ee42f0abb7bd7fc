package panamoe.io;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.exc.InputCoercionException;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.exc.InvalidTypeIdException;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** What is wrong with a configuration in JSON, in one sentence. */
final class ConfigError {
  private ConfigError() {}

  /**
   * What is wrong with a text that is no JSON. One that does not even begin as JSON is another file
   * than the caller meant: what was expected says more than the place.
   */
  static String inText(JsonProcessingException e, Class<?> type) {
    JsonLocation place = e.getLocation();
    boolean begins = place != null && (place.getLineNr() > 1 || place.getColumnNr() > 1);
    return begins ? JsonError.of(e) : "expected " + kind(type) + ", but " + JsonError.what(e);
  }

  /**
   * What is wrong with a tree.
   *
   * @param tree that was read
   */
  static String inTree(JsonProcessingException e, JsonNode tree) {
    if (e instanceof UnrecognizedPropertyException unknown) {
      String key = unknown.getPropertyName();
      return Words.of(
          "unknown key \"%s\" at %s%s",
          key, path(unknown), suggestion(key, keys(unknown.getReferringClass())));
    }
    if (e.getCause() instanceof IllegalArgumentException refused) {
      return e instanceof JsonMappingException mapping
          ? at(mapping) + refused.getMessage()
          : refused.getMessage();
    }
    if (e instanceof MismatchedInputException mapping
        && e.getOriginalMessage().startsWith("Missing required creator property")) {
      return at(mapping) + "this key is missing" + misspelt(mapping, tree);
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
    if (e.getCause() instanceof InputCoercionException
        && e instanceof JsonMappingException mapping
        && !mapping.getPath().isEmpty()) {
      return at(mapping) + "the number is out of range";
    }
    return JsonError.of(e);
  }

  /** Names an unknown key beside a missing one, the most similar of several. */
  private static String misspelt(JsonMappingException missing, JsonNode tree) {
    List<JsonMappingException.Reference> path = missing.getPath();
    JsonNode object = tree;
    for (JsonMappingException.Reference step : path.subList(0, path.size() - 1)) {
      object =
          step.getFieldName() != null
              ? object.path(step.getFieldName())
              : object.path(step.getIndex());
    }
    JsonMappingException.Reference last = path.getLast();
    List<String> known = keys((Class<?>) last.getFrom());
    List<String> unknown = new ArrayList<>();
    object.fieldNames().forEachRemaining(unknown::add);
    unknown.removeAll(known);
    if (unknown.isEmpty()) {
      return "";
    }
    String key = Spelling.nearest(last.getFieldName(), unknown).orElseGet(unknown::getFirst);
    return ", and \"" + key + "\" is unknown" + suggestion(key, known);
  }

  private static String suggestion(String key, List<String> known) {
    return Spelling.nearest(key, known)
        .map(nearest -> "; did you mean \"" + nearest + "\"?")
        .orElseGet(() -> "; known here: " + known);
  }

  /** The keys of a record in its order, after that which tells records of one interface apart. */
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

  private static String at(JsonMappingException e) {
    return e.getPath().isEmpty() ? "" : "at " + path(e) + ": ";
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
