package panamoe.io;

import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Memory in bytes by use. */
public interface MemoryParts {
  /** Bytes by name. */
  Map<String, Long> parts();

  /** The parts as JSON, with their sum as {@code total}. */
  default ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    parts().forEach((name, bytes) -> json.put(name.replace(' ', '_'), bytes));
    return json.put("total", total());
  }

  /** A table of the parts in MiB. */
  default String toText(String heading) {
    StringBuilder text =
        new StringBuilder(String.format(Locale.ROOT, "%n%-15s %13s%n", heading, "MiB"));
    toJson()
        .properties()
        .forEach(
            entry -> {
              double mebibytes = entry.getValue().asLong() / (double) (1 << 20);
              text.append(String.format(Locale.ROOT, "%-15s %,13.1f%n", entry.getKey(), mebibytes));
            });
    return text.toString();
  }

  /** The sum of all parts. */
  default long total() {
    return parts().values().stream().mapToLong(Long::longValue).sum();
  }

  default long largest() {
    return Collections.max(parts().values());
  }

  /** The name of the largest part. */
  default String largestName() {
    return Collections.max(parts().entrySet(), Map.Entry.comparingByValue()).getKey();
  }
}
