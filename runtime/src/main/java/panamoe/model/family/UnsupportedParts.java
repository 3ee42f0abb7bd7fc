package panamoe.model.family;

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

/** Tells which parts keep a model from being one of the families'. */
final class UnsupportedParts {
  private UnsupportedParts() {}

  /**
   * In words, with the keys of the model's {@code config.json}: the parts that none of the families
   * has whose sizes it has; if each part is somewhere, what the nearest family has otherwise.
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
            nearest.get().getKey().type(), String.join(", ", named(ofNearest, config).values()))
        : Words.of(
            "of those whose sizes it has (%s) none has %s",
            differing.keySet().stream().map(Family::type).collect(Collectors.joining(", ")),
            String.join(", ", everywhere.values()));
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

  private static String words(String path, JsonNode value) {
    String name = path.replaceAll("^blocks\\[\\d+]\\.", "");
    return value.isValueNode() && !value.isNull() ? name + " " + value.asString() : name;
  }
}
