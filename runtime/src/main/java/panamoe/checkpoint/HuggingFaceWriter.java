package panamoe.checkpoint;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.DoubleConsumer;
import panamoe.io.Words;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes the weights of a folder in Hugging Face's layout, which {@link HuggingFaceFolder} reads.
 */
public final class HuggingFaceWriter {
  /** Bytes of a shard, as in transformers. */
  private static final long SHARD_BYTES = 5_000_000_000L;

  private HuggingFaceWriter() {}

  /**
   * Writes one file, or shards with their index.
   *
   * @param folder exists and holds no weights
   * @param progress gets the written part, 0 to 1
   * @throws IOException if a file cannot be written
   * @throws CheckpointException if a tensor's type cannot hold its numbers
   */
  public static void write(
      Path folder, Map<String, ? extends Elements> tensors, DoubleConsumer progress)
      throws IOException {
    write(folder, tensors, SHARD_BYTES, progress);
  }

  /**
   * Writes one file of tensors.
   *
   * @throws IOException as {@link #write}
   * @throws CheckpointException as {@link #write}
   */
  public static void writeFile(Path file, Map<String, ? extends Elements> tensors)
      throws IOException {
    Map<String, Elements> named = new TreeMap<>();
    tensors.forEach((name, of) -> named.put(name, new Reported(name, of, new long[1], 1, _ -> {})));
    writeFile(new Disk((_, _) -> {}), file, named);
  }

  private static void writeFile(Disk disk, Path file, Map<String, Elements> tensors)
      throws IOException {
    disk.write(file, out -> SafetensorsWriter.write(out, tensors, Map.of("format", "pt")));
  }

  /** Writes shards of at most {@code shardBytes}, except for larger single tensors. */
  static void write(
      Path folder,
      Map<String, ? extends Elements> tensors,
      long shardBytes,
      DoubleConsumer progress)
      throws IOException {
    long total = tensors.values().stream().mapToLong(Elements::bytes).sum();
    List<Map<String, Elements>> shards = Sharding.bounded(shardBytes).cut(new TreeMap<>(tensors));
    ObjectNode places = JsonNodeFactory.instance.objectNode();
    long[] written = {0};
    Disk disk = new Disk((_, _) -> {});
    for (int i = 0; i < shards.size(); i++) {
      String name =
          shards.size() == 1
              ? HuggingFaceFolder.WHOLE
              : Words.of("model-%05d-of-%05d.safetensors", i + 1, shards.size());
      Map<String, Elements> reported = new TreeMap<>();
      shards
          .get(i)
          .forEach(
              (tensor, elements) -> {
                places.put(tensor, name);
                reported.put(tensor, new Reported(tensor, elements, written, total, progress));
              });
      writeFile(disk, folder.resolve(name), reported);
    }
    if (shards.size() > 1) {
      ObjectNode index = JsonNodeFactory.instance.objectNode();
      index.putObject("metadata").put("total_size", total);
      index.set("weight_map", places);
      disk.write(
          folder.resolve(HuggingFaceFolder.INDEX),
          (index.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Elements with progress reports. */
  private record Reported(
      String name, Elements of, long[] written, long total, DoubleConsumer progress)
      implements Elements {
    @Override
    public DType dtype() {
      return of.dtype();
    }

    @Override
    public long[] shape() {
      return of.shape();
    }

    @Override
    public void readBy(Reader reader) throws IOException {
      try {
        of.readBy(
            elements -> {
              reader.read(elements);
              written[0] += elements.byteSize();
              progress.accept((double) written[0] / total);
            });
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(
            name + " cannot be stored as " + StoredType.of(dtype()) + ": " + e.getMessage(), e);
      }
    }
  }
}
