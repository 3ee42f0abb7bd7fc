package panamoe.checkpoint.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import java.util.function.Supplier;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.io.FileErrors;
import panamoe.io.Words;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import panamoe.tensor.Tensor;

/** Writes a GGUF file of version 3, which {@link GgufFile} reads. Used by one thread. */
public final class GgufWriter {
  private static final int VERSION = 3;

  private final Map<String, GgufValue> values = new LinkedHashMap<>();
  private final Map<String, Entry> tensors = new LinkedHashMap<>();

  private record Entry(StoredType type, Elements elements) {}

  /**
   * Adds a key.
   *
   * @param value a String, Integer (UINT32), Float, Boolean, or an array: a list of strings, {@code
   *     int[]}, {@code float[]} or {@code boolean[]}
   */
  public GgufWriter put(String key, Object value) {
    values.put(key, GgufValue.of(value));
    return this;
  }

  /** Copies the keys of another file with this prefix. */
  public GgufWriter copy(GgufMetadata from, String beginning) {
    from.stored()
        .forEach(
            (key, value) -> {
              if (key.startsWith(beginning)) {
                values.put(key, value);
              }
            });
    return this;
  }

  /** Adds a tensor. */
  public GgufWriter add(String name, EncodedRows tensor) {
    tensors.put(name, new Entry(tensor.type(), tensor));
    return this;
  }

  /**
   * Adds a tensor.
   *
   * @param dtype FLOAT32, BFLOAT16 or blocks
   * @param shape outermost dimension first
   * @param parts its bytes in order, read only when the file is written
   */
  public GgufWriter add(
      String name, DType dtype, long[] shape, Supplier<List<MemorySegment>> parts) {
    tensors.put(name, new Entry(StoredType.of(dtype), new Parts(dtype, shape, parts)));
    return this;
  }

  private record Parts(DType dtype, long[] shape, Supplier<List<MemorySegment>> parts)
      implements Elements {
    @Override
    public long bytes() {
      return dtype.bytes(Tensor.count(shape));
    }

    @Override
    public void readBy(Reader reader) throws IOException {
      for (MemorySegment part : parts.get()) {
        reader.read(part);
      }
    }
  }

  /** The keys as a reader will get them. */
  public GgufMetadata metadata(Path path) {
    return new GgufMetadata(path, values);
  }

  /** Removes a key. */
  public void remove(String key) {
    values.remove(key);
  }

  /** Whether {@code file} is complete and has these keys and tensors. */
  public boolean isAt(Path file) throws IOException {
    byte[] head = head();
    long bytes =
        head.length + tensors.values().stream().mapToLong(e -> aligned(e.elements.bytes())).sum();
    if (!Files.isRegularFile(file) || Files.size(file) != bytes) {
      return false;
    }
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(head, in.readNBytes(head.length));
    }
  }

  /**
   * Writes the file.
   *
   * @param file must not exist
   * @param progress gets the written part, 0 to 1
   * @throws IOException if it cannot be written
   * @throws CheckpointException if a tensor's type cannot hold its numbers
   */
  public void write(Path file, DoubleConsumer progress) throws IOException {
    try {
      writeNew(file, progress);
    } catch (IOException e) {
      throw FileErrors.naming(file, e);
    }
  }

  private void writeNew(Path file, DoubleConsumer progress) throws IOException {
    long total = Math.max(1, tensors.values().stream().mapToLong(e -> e.elements.bytes()).sum());
    try (FileChannel out =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      writeAll(out, ByteBuffer.wrap(head()));
      long[] written = {0};
      for (Map.Entry<String, Entry> named : tensors.entrySet()) {
        Elements tensor = named.getValue().elements;
        try {
          tensor.readBy(
              elements -> {
                writeAll(out, elements);
                written[0] += elements.byteSize();
                progress.accept((double) written[0] / total);
              });
        } catch (IllegalArgumentException e) {
          throw new CheckpointException(
              Words.of(
                  "%s cannot be stored as %s: %s",
                  named.getKey(), named.getValue().type, e.getMessage()),
              e);
        }
        writeAll(out, ByteBuffer.allocate((int) (aligned(tensor.bytes()) - tensor.bytes())));
      }
      out.force(true);
    }
  }

  private byte[] head() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    number(out, Integer.BYTES, VERSION);
    number(out, Long.BYTES, tensors.size());
    number(out, Long.BYTES, values.size());
    values.forEach(
        (key, value) -> {
          string(out, key);
          value(out, value);
        });
    long[] offset = {0};
    tensors.forEach(
        (name, entry) -> {
          string(out, name);
          long[] shape = entry.elements.shape();
          number(out, Integer.BYTES, shape.length);
          for (int axis = shape.length - 1; axis >= 0; axis--) {
            number(out, Long.BYTES, shape[axis]);
          }
          number(out, Integer.BYTES, entry.type.gguf());
          number(out, Long.BYTES, offset[0]);
          offset[0] += aligned(entry.elements.bytes());
        });
    return Arrays.copyOf(out.toByteArray(), (int) aligned(out.size()));
  }

  private static void value(ByteArrayOutputStream out, GgufValue value) {
    if (value.array()) {
      number(out, Integer.BYTES, GgufValue.Type.ARRAY.ordinal());
    }
    number(out, Integer.BYTES, value.type().ordinal());
    switch (value) {
      case GgufValue.Texts(boolean array, List<String> texts) -> {
        if (array) {
          number(out, Long.BYTES, texts.size());
        }
        texts.forEach(text -> string(out, text));
      }
      case GgufValue.Numbers(GgufValue.Type type, boolean array, ByteBuffer bytes) -> {
        if (array) {
          number(out, Long.BYTES, bytes.limit() / type.bytes());
        }
        byte[] all = new byte[bytes.limit()];
        bytes.get(0, all);
        out.writeBytes(all);
      }
    }
  }

  private static void string(ByteArrayOutputStream out, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    number(out, Long.BYTES, bytes.length);
    out.writeBytes(bytes);
  }

  private static void number(ByteArrayOutputStream out, int bytes, long value) {
    byte[] all =
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    out.write(all, 0, bytes);
  }

  private static long aligned(long bytes) {
    return Math.ceilDiv(bytes, GgufHeader.DEFAULT_ALIGNMENT) * GgufHeader.DEFAULT_ALIGNMENT;
  }

  private static void writeAll(FileChannel out, MemorySegment bytes) throws IOException {
    for (long at = 0; at < bytes.byteSize(); at += 1 << 24) {
      writeAll(out, bytes.asSlice(at, Math.min(1 << 24, bytes.byteSize() - at)).asByteBuffer());
    }
  }

  private static void writeAll(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }
}
