package panamoe.train;

import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import tools.jackson.databind.JsonNode;

/** The differences between two configurations, in words. */
public final class ConfigDifference {
  private ConfigDifference() {}

  /** {@code training.batch was 8, is 16}, for each value that differs; empty if they are equal. */
  public static String between(JsonNode before, JsonNode now) {
    Map<String, String> old = ConfigJson.values(before);
    Map<String, String> today = ConfigJson.values(now);
    Set<String> names = new LinkedHashSet<>(old.keySet());
    names.addAll(today.keySet());
    return names.stream()
        .filter(name -> !Objects.equals(old.get(name), today.get(name)))
        .map(
            name ->
                Words.of(
                    "%s was %s, is %s",
                    name, old.getOrDefault(name, "missing"), today.getOrDefault(name, "missing")))
        .collect(Collectors.joining("; "));
  }
}
