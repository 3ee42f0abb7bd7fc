package panamoe.config;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;

/** Compares models whose numbers went through float32. */
public final class NearlyEqual {
  /** Of a float32's rounding, and what is computed from a few of them. */
  private static final double RELATIVE = 1e-6;

  private NearlyEqual() {}

  /** What differs, such as {@code blocks[0].attention.scores.window}; empty for the same model. */
  public static List<String> differences(ModelConfig one, ModelConfig other) {
    List<String> found = new ArrayList<>();
    collect("", ConfigJson.tree(one), ConfigJson.tree(other), found);
    return found;
  }

  private static void collect(String path, JsonNode one, JsonNode other, List<String> found) {
    if (one.isObject() && other.isObject()) {
      Set<String> names = new LinkedHashSet<>();
      one.propertyNames().forEach(names::add);
      other.propertyNames().forEach(names::add);
      for (String name : names) {
        collect(path.isEmpty() ? name : path + "." + name, one.path(name), other.path(name), found);
      }
    } else if (one.isArray() && other.isArray() && one.size() == other.size()) {
      for (int i = 0; i < one.size(); i++) {
        collect(path + "[" + i + "]", one.get(i), other.get(i), found);
      }
    } else if (!alike(one, other)) {
      found.add(path);
    }
  }

  private static boolean alike(JsonNode one, JsonNode other) {
    boolean whole = one.isIntegralNumber() && other.isIntegralNumber(); // no rounding
    if (one.isNumber() && other.isNumber() && !whole) {
      double difference = Math.abs(one.doubleValue() - other.doubleValue());
      return difference <= RELATIVE * Math.abs(one.doubleValue());
    }
    return one.equals(other);
  }
}
