package panamoe.model.family;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import tools.jackson.databind.JsonNode;

/** Finds the parts of a model that no family supports. */
final class UnsupportedParts {
  private UnsupportedParts() {}

  /**
   * A sentence with keys of the model's {@code config.json}: the parts that no family of these
   * sizes has; if every part is in some family, the differences to the nearest family.
   */
  static String of(ModelConfig config) {
    Map<Family, List<String>> differing = new LinkedHashMap<>();
    for (Family family : Family.ALL) {
      ConfigKeys.differences(family, config).ifPresent(paths -> differing.put(family, paths));
    }
    Optional<Map.Entry<Family, List<String>>> nearest =
        differing.entrySet().stream().min(Comparator.comparing(entry -> entry.getValue().size()));
    if (nearest.isEmpty()) {
      return "none has its sizes";
    }
    List<String> ofNearest = nearest.get().getValue();
    Map<String, String> everywhere = named(ofNearest, config);
    differing
        .values()
        .forEach(paths -> everywhere.keySet().retainAll(named(paths, config).keySet()));
    return everywhere.isEmpty()
        ? Words.of(
            "%s, the nearest, differs in %s",
            nearest.get().getKey().type(), merged(named(ofNearest, config)))
        : Words.of(
            "of those whose sizes it has (%s) none has %s",
            differing.keySet().stream().map(Family::type).collect(Collectors.joining(", ")),
            merged(everywhere));
  }

  /**
   * Parts with their values, such as {@code feedForward.activation GELU}, each once for all blocks.
   */
  private static Map<String, String> named(List<String> paths, ModelConfig config) {
    JsonNode tree = ConfigJson.tree(config);
    return paths.stream()
        .collect(
            Collectors.toMap(
                path -> path.replaceAll("^blocks\\[\\d+]\\.", ""),
                path -> words(path, tree.at("/" + path.replaceAll("[.\\[]", "/").replace("]", ""))),
                (first, _) -> first,
                LinkedHashMap::new));
  }

  /**
   * In words, with a field that several parts have once: {@code attentionNorm/finalNorm.kind RMS}.
   */
  private static String merged(Map<String, String> named) {
    Map<String, List<String>> parts = new LinkedHashMap<>();
    named.forEach(
        (path, words) -> {
          int field = path.lastIndexOf('.') + 1;
          parts
              .computeIfAbsent(words.substring(field), _ -> new ArrayList<>())
              .add(path.substring(0, Math.max(0, field - 1)));
        });
    return parts.entrySet().stream()
        .map(part -> String.join("/", part.getValue()) + "." + part.getKey())
        .map(words -> words.replaceFirst("^\\.", ""))
        .collect(Collectors.joining(", "));
  }

  private static String words(String path, JsonNode value) {
    String name = path.replaceAll("^blocks\\[\\d+]\\.", "");
    return value.isValueNode() && !value.isNull() ? name + " " + value.asString() : name;
  }
}
