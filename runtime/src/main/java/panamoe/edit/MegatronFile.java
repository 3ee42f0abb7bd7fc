package panamoe.edit;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.torch.TorchFile;
import panamoe.checkpoint.torch.TorchTensor;
import panamoe.io.Words;

/** One file of a checkpoint of Megatron-DeepSpeed, and its tensors by name. */
final class MegatronFile implements AutoCloseable {
  /** Depth of dictionaries: language_model, embedding, word_embeddings, weight. */
  private static final int DEEPEST = 5;

  /** Most values in the dictionaries; a shared one counts each time. */
  private static final int MOST_VALUES = 100_000;

  private final TorchFile file;
  private final Map<String, Object> content = new TreeMap<>();
  private final Map<String, TorchTensor> tensors = new TreeMap<>();
  private int visited;

  private MegatronFile(TorchFile file) {
    this.file = file;
    if (!(file.content() instanceof Map<?, ?> map)) {
      throw bad("does not hold a dictionary, as Megatron-DeepSpeed's files do");
    }
    map.forEach((key, value) -> content.put(key.toString(), value));
  }

  /** A file whose {@code module} is the model, except for its experts. */
  static MegatronFile model(Path path) {
    return open(path, true);
  }

  /** A file of one expert. */
  static MegatronFile expert(Path path) {
    return open(path, false);
  }

  private static MegatronFile open(Path path, boolean model) {
    TorchFile file = TorchFile.open(path);
    try {
      MegatronFile read = new MegatronFile(file);
      if (model && !(read.value("module") instanceof Map<?, ?>)) {
        throw read.bad("has no dictionary module, which holds the weights without a pipeline");
      }
      read.collect("", model ? read.value("module") : file.content(), 0);
      return read;
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  private void collect(String prefix, Object value, int depth) {
    if (++visited > MOST_VALUES) {
      throw bad("has more than " + MOST_VALUES + " values in its dictionaries");
    }
    switch (value) {
      case TorchTensor tensor -> {
        if (tensors.put(MegatronTensor.today(prefix), tensor) != null) {
          throw bad("has two tensors " + prefix);
        }
      }
      case Map<?, ?> map -> {
        if (depth == DEEPEST) {
          throw bad("has a dictionary too deep within others: " + prefix);
        }
        String before = prefix.isEmpty() ? "" : prefix + ".";
        map.forEach((key, below) -> collect(before + key, below, depth + 1));
      }
      case null -> {} // state that a layer does not have
      default -> throw bad("has " + prefix + ", which is neither a tensor nor a dictionary");
    }
  }

  /** The value of a key, such as the arguments; null if absent. */
  Object value(String name) {
    return content.get(name);
  }

  CheckpointException bad(String pattern, Object... values) {
    return new CheckpointException("%s %s", file.path(), Words.of(pattern, values));
  }

  Path path() {
    return file.path();
  }

  /** The full name of the one tensor with this suffix. */
  String nameEnding(String end) {
    String[] found =
        tensors.keySet().stream()
            .filter(name -> name.equals(end) || name.endsWith("." + end))
            .toArray(String[]::new);
    if (found.length != 1) {
      throw bad("has " + found.length + " tensors " + end + ", expected one");
    }
    return found[0];
  }

  /** Refuses a missing tensor, or another shape. */
  void require(String name, long[] shape) {
    TorchTensor tensor = tensors.get(name);
    if (tensor == null) {
      throw bad("has no tensor " + name);
    }
    if (!Arrays.equals(tensor.shape(), shape)) {
      throw bad(
          "has a tensor %s of the shape %s, expected %s",
          name, Arrays.toString(tensor.shape()), Arrays.toString(shape));
    }
    if (!tensor.type().isFloating()) {
      throw bad("has a tensor " + name + " of " + tensor.type() + ", expected floating numbers");
    }
  }

  /** Refuses tensors that the model does not have. */
  void requireOnly(Set<String> names) {
    for (String name : tensors.keySet()) {
      if (!names.contains(name)) {
        throw bad("has a tensor " + name + ", which its args do not speak of");
      }
    }
  }

  float[] floats(String name) {
    float[] values = file.floats(tensors.get(name));
    for (float value : values) {
      if (!Float.isFinite(value)) {
        throw bad("holds NaN or infinite values in " + name);
      }
    }
    return values;
  }

  @Override
  public void close() {
    file.close();
  }
}
