package panamoe.io;

import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Bytes of memory by what takes them. */
public interface MemoryParts {
  /** Bytes by names, in words. */
  Map<String, Long> parts();

  /** In one object, with the sum as {@code total}. */
  default ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    parts().forEach((name, bytes) -> json.put(name.replace(' ', '_'), bytes));
    return json.put("total", total());
  }

  /** MiB of the parts of {@link #toJson}, as a table. */
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

  /** The sum. */
  default long total() {
    return parts().values().stream().mapToLong(Long::longValue).sum();
  }

  /** Bytes of the largest part. */
  default long largest() {
    return Collections.max(parts().values());
  }

  /** The largest part in words. */
  default String largestName() {
    return Collections.max(parts().entrySet(), Map.Entry.comparingByValue()).getKey();
  }
}
