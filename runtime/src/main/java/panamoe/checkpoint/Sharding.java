package panamoe.checkpoint;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import panamoe.tensor.Elements;

/** Splits tensors, sorted by name, into the files of a checkpoint. */
@FunctionalInterface
interface Sharding {
  /** Consecutive parts, at least one. */
  List<Map<String, Elements>> cut(SortedMap<String, Elements> tensors);

  /** Files of at most {@code shardBytes} of tensors, or of one tensor. */
  static Sharding bounded(long shardBytes) {
    return tensors -> {
      Cut cut = new Cut();
      tensors.forEach(
          (name, tensor) -> {
            if (cut.lastBytes > 0 && cut.lastBytes + tensor.bytes() > shardBytes) {
              cut.begin();
            }
            cut.add(name, tensor);
          });
      return cut.parts;
    };
  }

  /** {@code files} files of about equal size; fewer if there are fewer tensors. */
  static Sharding files(int files) {
    return tensors -> {
      long all = tensors.values().stream().mapToLong(Elements::bytes).sum();
      int most = Math.max(1, Math.min(files, tensors.size()));
      Cut cut = new Cut();
      tensors.forEach(
          (name, tensor) -> {
            int made = cut.parts.size();
            boolean full = cut.bytes >= (double) all * made / most;
            boolean needed = tensors.size() - cut.count <= most - made;
            if (!cut.parts.getLast().isEmpty() && made < most && (full || needed)) {
              cut.begin();
            }
            cut.add(name, tensor);
          });
      return cut.parts;
    };
  }

  /** Parts that are being filled. */
  final class Cut {
    private final List<Map<String, Elements>> parts = new ArrayList<>(List.of(new TreeMap<>()));
    private int count;
    private long bytes;
    private long lastBytes;

    private void begin() {
      parts.add(new TreeMap<>());
      lastBytes = 0;
    }

    private void add(String name, Elements tensor) {
      parts.getLast().put(name, tensor);
      count++;
      bytes += tensor.bytes();
      lastBytes += tensor.bytes();
    }
  }
}
