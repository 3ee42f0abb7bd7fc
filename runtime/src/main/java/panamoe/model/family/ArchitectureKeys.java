package panamoe.model.family;

import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.gguf.GgufMetadata;

/**
 * The keys of a GGUF file that begin with its architecture's name, and are given without it here.
 * Each is read, or known to mean nothing, or refused by {@link #requireAllRead}. Used by one
 * thread.
 */
class ArchitectureKeys {
  private static final Set<String> WITHOUT_MEANING =
      Set.of(
          "classifier.output_labels", // EmbeddingForm and RerankForm read these two
          "pooling_type",
          "rope.scaling.finetuned",
          "tensor_data_layout");

  final Map<String, StoredTensor> tensors;
  final String architecture;
  private final GgufMetadata metadata;
  private final Set<String> unread = new TreeSet<>();

  ArchitectureKeys(GgufMetadata metadata, Map<String, StoredTensor> tensors, String architecture) {
    this.metadata = metadata;
    this.tensors = tensors;
    this.architecture = architecture;
    for (String key : metadata.keys()) {
      if (key.startsWith(architecture + ".")) {
        unread.add(key);
      }
    }
    WITHOUT_MEANING.forEach(key -> unread.remove(whole(key)));
  }

  /** Whole names of the keys that were not read. */
  final Set<String> unread() {
    return unread;
  }

  /** A number from 0, which is the default. */
  final int mayCount(String key, int most) {
    return has(key) ? count(key, 0, most) : 0;
  }

  /** Whether there is a tensor of that name in the first layer. */
  final boolean hasTensor(String name) {
    return tensors.containsKey("blk.0." + name);
  }

  final void requireAllRead() {
    if (!unread.isEmpty()) {
      throw new CheckpointException(
          "%s has %s, which %s not known here and may change what the model computes",
          metadata.path(), Keys.shown(unread), unread.size() == 1 ? "is" : "are");
    }
  }

  final int count(String key) {
    return count(key, 1, Integer.MAX_VALUE);
  }

  final int count(String key, int absent) {
    return has(key) ? count(key) : absent;
  }

  final int count(String key, int least, int most) {
    unread.remove(whole(key));
    return metadata.whole(whole(key), least, most);
  }

  final int[] counts(String key, int count) {
    unread.remove(whole(key));
    return metadata.counts(whole(key), count);
  }

  final boolean[] flags(String key, int count) {
    unread.remove(whole(key));
    return metadata.flags(whole(key), count);
  }

  final double number(String key) {
    unread.remove(whole(key));
    return metadata.real(whole(key));
  }

  final double number(String key, double absent) {
    return has(key) ? number(key) : absent;
  }

  final boolean flag(String key, boolean absent) {
    unread.remove(whole(key));
    return has(key) ? metadata.flag(whole(key)) : absent;
  }

  final String text(String key, String absent) {
    unread.remove(whole(key));
    return has(key) ? metadata.text(whole(key)) : absent;
  }

  final void only(String key, int value) {
    if (has(key)) {
      count(key, value, value);
    }
  }

  final void only(String key, double value) {
    if (number(key, value) != value) {
      throw bad(key + " is " + number(key) + ", expected " + value + ": nothing else is supported");
    }
  }

  final boolean has(String key) {
    return metadata.contains(whole(key));
  }

  final String whole(String key) {
    return architecture + "." + key;
  }

  final int rows(String tensor) {
    StoredTensor stored = tensors.get(tensor);
    if (stored == null || stored.shape().length == 0) {
      throw new CheckpointException(metadata.path() + " has no matrix " + tensor);
    }
    return (int) Math.min(Integer.MAX_VALUE, stored.shape()[0]);
  }

  final CheckpointException bad(String problem) {
    return new CheckpointException(metadata.path() + ": " + whole(problem));
  }
}
