package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Reads the safetensors files of a model or an optimizer as one. No tensor may be in two files. */
public final class Shards implements TensorFiles {
  private final Path checkpoint;
  private final List<SafetensorsReader> readers = new ArrayList<>();
  private final Map<String, SafetensorsReader> byName = new LinkedHashMap<>();

  private final NonFinite nonFinite = new NonFinite();

  private Shards(Path checkpoint) {
    this.checkpoint = checkpoint;
  }

  static Shards open(Path checkpoint, List<Path> files) {
    Shards shards = new Shards(checkpoint);
    try {
      files.forEach(shards::add);
      return shards;
    } catch (RuntimeException | Error e) {
      shards.close();
      throw e;
    }
  }

  private void add(Path file) {
    SafetensorsReader reader = SafetensorsReader.open(file);
    readers.add(reader);
    for (StoredTensor tensor : reader.tensors()) {
      SafetensorsReader other = byName.put(tensor.name(), reader);
      if (other != null) {
        throw new CheckpointException(
            "tensor %s is both in %s and in %s",
            Mismatches.located(tensor.name()), other.path(), file);
      }
    }
  }

  List<SafetensorsReader> readers() {
    return readers;
  }

  @Override
  public Map<String, StoredTensor> tensors() {
    Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    byName.forEach((name, reader) -> tensors.put(name, reader.tensor(name)));
    return tensors;
  }

  @Override
  public Path file(StoredTensor tensor) {
    return byName.get(tensor.name()).path();
  }

  @Override
  public void read(StoredTensor tensor, long offset, MemorySegment into) {
    byName.get(tensor.name()).read(tensor, offset, into);
  }

  /** Whether the files hold no tensor at all. */
  public boolean isEmpty() {
    return byName.isEmpty();
  }

  /**
   * Compares names, shapes and dtypes with those of a whole model, even if only a part is read
   * later.
   *
   * @param wanted FLOAT32 shapes by name
   * @throws CheckpointException with up to 20 mismatches, each with its layer and expert
   */
  public void requireExactly(Map<String, long[]> wanted) {
    require(wanted, true);
  }

  /** Like {@link #requireExactly}; weights may be in BFLOAT16 or blocks, unless {@code exact}. */
  void require(Map<String, long[]> wanted, boolean exact) {
    Map<String, Mismatches.Expected> expected = new LinkedHashMap<>();
    wanted.forEach(
        (name, shape) -> expected.put(name, new Mismatches.Expected(DType.FLOAT32, shape)));
    Mismatches.between(tensors(), expected, exact).throwIfAny(checkpoint, false);
  }

  /**
   * Fills a tensor.
   *
   * @throws CheckpointException if there is no tensor of that name, shape and dtype
   */
  public void read(String name, Tensor destination) {
    if (!byName.containsKey(name)) {
      throw new CheckpointException(checkpoint + " holds no tensor " + Mismatches.located(name));
    }
    long[] found = {0};
    byName
        .get(name)
        .readInto(name, destination, it -> found[0] += NonFinite.count(destination.dtype(), it));
    nonFinite.add(name, found[0]);
  }

  /** A warning if a value that was read is not finite; otherwise empty. */
  public Optional<String> warning() {
    return nonFinite.sentence(checkpoint);
  }

  @Override
  public void close() {
    CheckpointException failure = null;
    for (SafetensorsReader reader : readers) {
      try {
        reader.close();
      } catch (CheckpointException e) {
        failure = CheckpointException.first(failure, e);
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
