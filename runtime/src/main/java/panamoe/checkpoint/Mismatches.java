package panamoe.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.io.Words;
import panamoe.tensor.DType;

/** The differences between a file's tensors and those a model expects. */
record Mismatches(List<String> wrong, List<String> extra) {
  private static final int SHOWN = 20;
  static final Pattern LAYER = Pattern.compile("layers\\.(\\d{1,9})\\.");
  static final Pattern EXPERT = Pattern.compile("experts\\.(\\d+)\\.");

  /** Dtype and shape that a model expects. */
  record Expected(DType dtype, long[] shape) {
    static Expected of(LoadTarget destination) {
      return new Expected(destination.dtype(), destination.shape());
    }
  }

  /**
   * @param exact whether dtypes must be equal; else FLOAT32 weights may be stored in BFLOAT16 or,
   *     in a quantized model, in blocks
   */
  static Mismatches between(
      Map<String, StoredTensor> stored, Map<String, Expected> wanted, boolean exact) {
    List<String> wrong = new ArrayList<>();
    for (Map.Entry<String, Expected> entry : new TreeMap<>(wanted).entrySet()) {
      String name = entry.getKey();
      Expected want = entry.getValue();
      StoredTensor have = stored.get(name);
      if (have == null) {
        wrong.add("missing " + located(name));
      } else if (!Arrays.equals(have.shape(), want.shape())) {
        wrong.add(
            Words.of(
                "%s has the shape %s, expected %s",
                located(name), Arrays.toString(have.shape()), Arrays.toString(want.shape())));
      } else if (have.type() != StoredType.of(want.dtype()) && (exact || !rounded(have.type()))) {
        wrong.add(
            Words.of(
                "%s has the dtype %s, expected %s",
                located(name), have.type(), StoredType.of(want.dtype())));
      }
    }
    List<String> extra =
        stored.keySet().stream()
            .filter(name -> !wanted.containsKey(name))
            .sorted()
            .map(name -> "unexpected " + located(name))
            .toList();
    return new Mismatches(wrong, extra);
  }

  private static boolean rounded(StoredType type) {
    return type == StoredType.BF16 || type.blocks().isPresent();
  }

  void throwIfAny(Path checkpoint, boolean allowExtra) {
    List<String> all = new ArrayList<>(wrong);
    if (!allowExtra) {
      all.addAll(extra);
    }
    if (!all.isEmpty()) {
      throw new CheckpointException(checkpoint + " does not fit the model: " + list(all));
    }
  }

  List<String> extraWarning(Path checkpoint) {
    return extra.isEmpty()
        ? List.of()
        : List.of(checkpoint + " holds tensors that were not read: " + list(extra));
  }

  private static String list(List<String> problems) {
    String shown = String.join("; ", problems.subList(0, Math.min(SHOWN, problems.size())));
    return problems.size() > SHOWN ? shown + "; and " + (problems.size() - SHOWN) + " more" : shown;
  }

  /** A tensor's name with its layer and expert, for messages. */
  static String located(String name) {
    Matcher layer = LAYER.matcher(name);
    Matcher expert = EXPERT.matcher(name);
    if (!layer.find()) {
      return name;
    }
    return name
        + " (layer "
        + layer.group(1)
        + (expert.find() ? ", expert " + expert.group(1) + ")" : ")");
  }
}
