package panamoe.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.LongToDoubleFunction;
import java.util.zip.CRC32C;
import panamoe.io.FileErrors;
import panamoe.io.Words;
import panamoe.tensor.Tensor;

/**
 * Reads one safetensors file: 8 bytes little-endian header length, a JSON header, the elements.
 *
 * <p>The file is untrusted: opening it validates the whole header before anything is allocated for
 * its tensors. Elements are read by position into their destination. The file is never mapped,
 * because a mapped file that shrinks kills the process. Thread-safe.
 *
 * <p>Methods with a name throw {@link CheckpointException} if the file has no tensor of that name,
 * cannot be read, or was truncated since it was opened.
 */
public final class SafetensorsReader implements AutoCloseable {
  /** Default limit on the number of tensors in a file. */
  public static final int MAX_TENSORS = 1_000_000;

  /** Longest header the format allows. */
  static final int MAX_HEADER_BYTES = 100_000_000;

  private final Path path;
  private final FileChannel channel;
  private final SafetensorsHeader header;
  private final long dataStart;
  private final int headerChecksum;

  private SafetensorsReader(
      Path path,
      FileChannel channel,
      SafetensorsHeader header,
      long dataStart,
      int headerChecksum) {
    this.path = path;
    this.channel = channel;
    this.header = header;
    this.dataStart = dataStart;
    this.headerChecksum = headerChecksum;
  }

  /**
   * Opens a file and checks its header.
   *
   * @throws CheckpointException if it is not a regular file, or not a valid safetensors file
   */
  public static SafetensorsReader open(Path path) {
    return open(path, MAX_TENSORS);
  }

  /** Like {@link #open(Path)}, with a given limit on the number of tensors. */
  public static SafetensorsReader open(Path path, int maxTensors) {
    FileChannel channel = SavedFile.open(path);
    try {
      long fileBytes = channel.size();
      int headerBytes = headerBytes(path, channel, fileBytes);
      byte[] json = new byte[headerBytes];
      SavedFile.readFully(channel, ByteBuffer.wrap(json), Long.BYTES, path);
      long dataStart = Long.BYTES + (long) headerBytes;
      CRC32C checksum = new CRC32C();
      checksum.update(length(headerBytes));
      checksum.update(json);
      SafetensorsHeader header =
          SafetensorsHeader.parse(path.toString(), json, fileBytes - dataStart, maxTensors);
      return new SafetensorsReader(path, channel, header, dataStart, (int) checksum.getValue());
    } catch (IOException e) {
      closeAfter(channel, e);
      throw CheckpointException.unread(path, e);
    } catch (RuntimeException | Error e) {
      closeAfter(channel, e);
      throw e;
    }
  }

  /** The first bytes of a file with a header of that length. */
  private static ByteBuffer length(int headerBytes) {
    ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    return bytes.putLong(headerBytes).flip();
  }

  private static int headerBytes(Path path, FileChannel channel, long fileBytes)
      throws IOException {
    byte[] prefix = new byte[(int) Math.min(fileBytes, ForeignFormat.PREFIX_BYTES)];
    SavedFile.readFully(channel, ByteBuffer.wrap(prefix), 0, path);
    ForeignFormat.of(prefix)
        .ifPresent(
            format -> {
              throw new CheckpointException(
                  path + " is not a safetensors file; it looks like " + format.description());
            });
    if (fileBytes < Long.BYTES) {
      throw new CheckpointException(
          path
              + ": header too small: the file has "
              + fileBytes
              + " bytes, a safetensors file begins with 8 bytes of header length");
    }
    long length = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (length <= 0 || length > MAX_HEADER_BYTES || length > fileBytes - Long.BYTES) {
      throw new CheckpointException(
          "%s: invalid header length %s: at least 1, at most %s and at most the %s bytes that"
              + " follow in the file are allowed",
          path, Long.toUnsignedString(length), MAX_HEADER_BYTES, fileBytes - Long.BYTES);
    }
    return (int) length;
  }

  public Path path() {
    return path;
  }

  /** All tensors, in the order of their data. */
  public Collection<StoredTensor> tensors() {
    return Collections.unmodifiableCollection(header.tensors().values());
  }

  public boolean contains(String name) {
    return header.tensors().containsKey(name);
  }

  /** The header's entry of a tensor. */
  public StoredTensor tensor(String name) {
    StoredTensor tensor = header.tensors().get(name);
    if (tensor == null) {
      throw new CheckpointException(path + " has no tensor " + name);
    }
    return tensor;
  }

  /** The header's {@code __metadata__}; empty if it has none. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(header.metadata());
  }

  /**
   * Reads a tensor into one of the same shape and element bits; {@code reader} gets all bytes in
   * order, in one or more pieces.
   *
   * @throws CheckpointException if shape or dtype differ
   */
  void readInto(String name, Tensor destination, Consumer<MemorySegment> reader) {
    StoredTensor stored = tensor(name);
    boolean fits =
        Arrays.equals(stored.shape(), destination.shape())
            && stored.type().sameBits().filter(destination.dtype()::equals).isPresent()
            && !destination.packed();
    if (!fits) {
      throw new CheckpointException(path + ": tensor " + stored + " does not fit " + destination);
    }
    long[] at = {0};
    destination.writeBy(
        piece -> {
          read(stored, at[0], piece);
          reader.accept(piece);
          at[0] += piece.byteSize();
        });
  }

  /** CRC-32C of all bytes before the first tensor. */
  int headerChecksum() {
    return headerChecksum;
  }

  /** Fills {@code destination} with the bytes of a tensor of this file, from {@code begin} on. */
  void read(StoredTensor stored, long begin, MemorySegment destination) {
    try {
      SavedFile.readFully(channel, destination, dataStart + stored.begin() + begin, path);
    } catch (IOException e) {
      throw new CheckpointException(
          Words.of(
              "tensor %s of %s could not be read: %s", stored.name(), path, FileErrors.reason(e)),
          e);
    }
  }

  /** All elements of a tensor of any type as doubles; I64 beyond 2^53 is rounded. */
  public double[] doubles(String name) {
    StoredTensor stored = tensor(name);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = elements(stored, arena);
      if (stored.type() == StoredType.F64) {
        return convert(stored, i -> data.getAtIndex(ValueLayout.JAVA_DOUBLE, i));
      }
      if (!stored.type().isFloating()) {
        return convert(stored, i -> integer(stored.type(), data, i));
      }
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, stored.count());
      stored.type().decode(data, floats);
      return convert(stored, i -> floats.getAtIndex(ValueLayout.JAVA_FLOAT, i));
    }
  }

  /** All elements of a tensor of any type as floats; F64 and integers are rounded to nearest. */
  public float[] floats(String name) {
    double[] wide = doubles(name);
    float[] values = new float[wide.length];
    for (int i = 0; i < wide.length; i++) {
      values[i] = (float) wide[i];
    }
    return values;
  }

  /**
   * All elements of an integer tensor.
   *
   * @throws CheckpointException if its type is floating
   */
  public long[] longs(String name) {
    StoredTensor stored = tensor(name);
    if (stored.type().isFloating()) {
      throw new CheckpointException(path + ": tensor " + stored + " does not hold integers");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = elements(stored, arena);
      long[] values = new long[arrayLength(stored)];
      for (int i = 0; i < values.length; i++) {
        values[i] = integer(stored.type(), data, i);
      }
      return values;
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new CheckpointException("cannot close " + path + ": " + FileErrors.reason(e), e);
    }
  }

  private static long integer(StoredType type, MemorySegment data, long index) {
    return switch (type.name()) {
      case "I64" -> data.getAtIndex(ValueLayout.JAVA_LONG, index);
      case "I32" -> data.getAtIndex(ValueLayout.JAVA_INT, index);
      case "I16" -> data.getAtIndex(ValueLayout.JAVA_SHORT, index);
      case "U8", "BOOL" -> data.get(ValueLayout.JAVA_BYTE, index) & 0xff;
      case "I8" -> data.get(ValueLayout.JAVA_BYTE, index);
      default -> throw new IllegalArgumentException(type + " is no integer type");
    };
  }

  private double[] convert(StoredTensor stored, LongToDoubleFunction element) {
    double[] values = new double[arrayLength(stored)];
    for (int i = 0; i < values.length; i++) {
      values[i] = element.applyAsDouble(i);
    }
    return values;
  }

  private MemorySegment elements(StoredTensor stored, Arena arena) {
    arrayLength(stored);
    MemorySegment data = arena.allocate(stored.bytes(), Long.BYTES);
    read(stored, 0, data);
    return data;
  }

  private int arrayLength(StoredTensor stored) {
    if (stored.count() > Integer.MAX_VALUE - 8) {
      throw new CheckpointException(path + ": tensor " + stored + " is too large for a Java array");
    }
    return (int) stored.count();
  }

  private static void closeAfter(FileChannel channel, Throwable failure) {
    try {
      channel.close();
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }
}
