package panamoe.jmh.peer;

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
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Writes a GGUF file of version 3: metadata, then FLOAT32 and BFLOAT16 tensors. */
final class GgufWriter {
  private static final int VERSION = 3;
  private static final int ALIGNMENT = 32;

  // Types of metadata, and of tensors.
  private static final int UINT32 = 4;
  private static final int FLOAT = 6;
  private static final int STRING = 8;
  private static final int F32 = 0;
  private static final int BF16 = 30;

  private final ByteArrayOutputStream metadata = new ByteArrayOutputStream();
  private final List<TensorEntry> tensors = new ArrayList<>();
  private long entries;

  /**
   * @param parts its bytes in order, asked for only when the file is written
   */
  private record TensorEntry(
      String name, DType dtype, long[] shape, Supplier<List<MemorySegment>> parts) {
    long bytes() {
      return Tensor.count(shape) * dtype.bytes();
    }
  }

  void put(String key, String value) {
    entry(key, STRING);
    string(metadata, value);
  }

  void put(String key, int value) {
    entry(key, UINT32);
    number(metadata, Integer.BYTES, value);
  }

  void put(String key, float value) {
    entry(key, FLOAT);
    number(metadata, Integer.BYTES, Float.floatToRawIntBits(value));
  }

  /**
   * @param shape outermost dimension first
   * @param parts its bytes in order, asked for only when the file is written
   */
  void add(String name, DType dtype, long[] shape, Supplier<List<MemorySegment>> parts) {
    tensors.add(new TensorEntry(name, dtype, shape, parts));
  }

  /** Whether {@code file} is complete and has this metadata and these tensors. */
  boolean isAt(Path file) throws IOException {
    byte[] head = head();
    long bytes = head.length + tensors.stream().mapToLong(t -> aligned(t.bytes())).sum();
    if (!Files.isRegularFile(file) || Files.size(file) != bytes) {
      return false;
    }
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(head, in.readNBytes(head.length));
    }
  }

  /** Writes the file beside {@code file} first, so that nothing incomplete has its name. */
  void write(Path file) throws IOException {
    Files.createDirectories(file.getParent());
    Path part = Files.createTempFile(file.getParent(), "writing", ".gguf");
    try {
      try (FileChannel out = FileChannel.open(part, StandardOpenOption.WRITE)) {
        writeAll(out, ByteBuffer.wrap(head()));
        for (TensorEntry tensor : tensors) {
          for (MemorySegment bytes : tensor.parts.get()) {
            writeAll(out, bytes.asByteBuffer());
          }
          writeAll(out, ByteBuffer.allocate((int) (aligned(tensor.bytes()) - tensor.bytes())));
        }
      }
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  private byte[] head() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    number(out, Integer.BYTES, VERSION);
    number(out, Long.BYTES, tensors.size());
    number(out, Long.BYTES, entries);
    out.writeBytes(metadata.toByteArray());
    long offset = 0;
    for (TensorEntry tensor : tensors) {
      string(out, tensor.name);
      number(out, Integer.BYTES, tensor.shape.length);
      for (int axis = tensor.shape.length - 1; axis >= 0; axis--) {
        number(out, Long.BYTES, tensor.shape[axis]);
      }
      number(out, Integer.BYTES, tensor.dtype == DType.FLOAT32 ? F32 : BF16);
      number(out, Long.BYTES, offset);
      offset += aligned(tensor.bytes());
    }
    return Arrays.copyOf(out.toByteArray(), (int) aligned(out.size()));
  }

  private void entry(String key, int type) {
    string(metadata, key);
    number(metadata, Integer.BYTES, type);
    entries++;
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
    return Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
  }

  private static void writeAll(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }
}
