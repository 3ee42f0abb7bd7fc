package panamoe.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** The differences between two configurations, in words. */
public final class ConfigDifference {
  private ConfigDifference() {}

  /** {@code training.batch was 8, is 16}, for each value that differs; empty if they are equal. */
  public static String between(JsonNode before, JsonNode now) {
    List<String> found = new ArrayList<>();
    collect("", before, now, found);
    return String.join("; ", found);
  }

  private static void collect(String path, JsonNode before, JsonNode now, List<String> found) {
    if (before.isObject() && now.isObject()) {
      Set<String> names = new LinkedHashSet<>();
      before.fieldNames().forEachRemaining(names::add);
      now.fieldNames().forEachRemaining(names::add);
      for (String name : names) {
        collect(
            path.isEmpty() ? name : path + "." + name, before.path(name), now.path(name), found);
      }
    } else if (before.isArray() && now.isArray() && before.size() == now.size()) {
      for (int i = 0; i < now.size(); i++) {
        collect(path + "[" + i + "]", before.get(i), now.get(i), found);
      }
    } else if (!before.equals(now)) {
      found.add(path + " was " + said(before) + ", is " + said(now));
    }
  }

  private static String said(JsonNode value) {
    return value.isMissingNode() ? "missing" : value.toString();
  }
}
