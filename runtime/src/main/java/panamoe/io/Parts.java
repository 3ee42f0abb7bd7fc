package panamoe.io;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collections;
import java.util.Map;

/** Bytes of memory by what takes them. */
public interface Parts {
  /** Bytes by names, in words. */
  Map<String, Long> parts();

  /** In one object, with the sum as {@code total}. */
  ObjectNode toJson();

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
