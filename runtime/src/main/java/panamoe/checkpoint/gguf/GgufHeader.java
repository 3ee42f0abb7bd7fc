package panamoe.checkpoint.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.ForeignFormat;
import panamoe.checkpoint.SavedFile;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.io.Words;

/**
 * The validated header of one GGUF file (version 2 or 3): every tensor has a readable type and
 * follows the previous one without a gap.
 *
 * @param dataStart position in the file that tensors' offsets are relative to
 */
record GgufHeader(GgufMetadata metadata, Map<String, StoredTensor> tensors, long dataStart) {
  private static final int MAGIC = 'G' | 'G' << 8 | 'U' << 16 | 'F' << 24;
  private static final String ALIGNMENT = "general.alignment";
  static final int DEFAULT_ALIGNMENT = 32;
  private static final int MOST_DIMENSIONS = 4;
  private static final int MOST_KEY_BYTES = 65_535;
  private static final int MOST_NAME_BYTES = 63;

  /** The fewest bytes of a key with its value, and of a tensor's entry. */
  private static final int KEY_BYTES = 14;

  private static final int TENSOR_BYTES = 25;

  /** More than any model has; bounds the memory of entries. */
  private static final int MOST_ENTRIES = 1_000_000;

  /**
   * Reads the header.
   *
   * @throws CheckpointException if it is not valid
   */
  static GgufHeader read(Path path, FileChannel channel) throws IOException {
    refuseForeign(path, channel);
    return new Parser(path, new GgufInput(path, channel)).parse();
  }

  private static void refuseForeign(Path path, FileChannel channel) throws IOException {
    int bytes = (int) Math.min(channel.size(), ForeignFormat.PREFIX_BYTES);
    ByteBuffer prefix = ByteBuffer.allocate(bytes);
    SavedFile.readFully(channel, prefix, 0, path);
    ForeignFormat.of(prefix.array())
        .filter(format -> format != ForeignFormat.GGUF)
        .ifPresent(
            format -> {
              throw new CheckpointException(
                  path + " is not a GGUF file; it looks like " + format.description());
            });
  }

  private static final class Parser {
    /** A tensor's entry, before its size in bytes is known. */
    private record Entry(String name, long[] shape, int type, long offset) {}

    private final Path path;
    private final GgufInput in;
    private final Map<String, GgufValue> values = new LinkedHashMap<>();
    private final Map<String, Entry> entries = new LinkedHashMap<>();

    Parser(Path path, GgufInput in) {
      this.path = path;
      this.in = in;
    }

    GgufHeader parse() throws IOException {
      if (in.int32("the first word") != MAGIC) {
        throw in.bad("its first bytes are not GGUF, so it is no GGUF file");
      }
      requireVersion(in.int32("the version"));
      long tensors = in.int64("the number of tensors");
      long keys = in.int64("the number of keys");
      requireCount(keys, KEY_BYTES, "keys");
      for (long i = 0; i < keys; i++) {
        readKey();
      }
      requireCount(tensors, TENSOR_BYTES, "tensors");
      for (long i = 0; i < tensors; i++) {
        readEntry();
      }
      requireReadable();
      GgufMetadata metadata = new GgufMetadata(path, values);
      int alignment = alignment(metadata);
      long dataStart = aligned(in.position(), alignment);
      return new GgufHeader(metadata, place(in.fileBytes() - dataStart, alignment), dataStart);
    }

    private void requireVersion(int version) {
      if ((version & 0xffff) == 0 && version != 0) {
        throw in.bad("its numbers are big-endian, expected little-endian ones");
      }
      if (version != 2 && version != 3) {
        throw in.bad(
            "its GGUF version is " + Integer.toUnsignedString(version) + ", expected 2 or 3");
      }
    }

    private void requireCount(long count, int size, String what) {
      if (count < 0 || count > MOST_ENTRIES) {
        throw in.bad(
            "it lists %s %s, more than %s, the limit",
            Long.toUnsignedString(count), what, MOST_ENTRIES);
      }
      in.require(count, size, "the list of " + what);
    }

    private void readKey() throws IOException {
      String key = name("a key", MOST_KEY_BYTES);
      String what = "key " + key;
      GgufValue.Type type = type(what, "a value");
      GgufValue value;
      if (type == GgufValue.Type.ARRAY) {
        GgufValue.Type element = type(what, "an array");
        if (element == GgufValue.Type.ARRAY) {
          throw in.bad(what + " has an array of arrays, which is not read");
        }
        value = values(element, true, in.int64("the length of " + what), what);
      } else {
        value = values(type, false, 1, what);
      }
      if (values.put(key, value) != null) {
        throw in.bad(what + " is there twice");
      }
    }

    private GgufValue.Type type(String key, String of) throws IOException {
      int number = in.int32("the type of " + key);
      GgufValue.Type[] types = GgufValue.Type.values();
      if (number < 0 || number >= types.length) {
        throw in.bad(
            key + " has " + of + " of the unknown type " + Integer.toUnsignedString(number));
      }
      return types[number];
    }

    private GgufValue values(GgufValue.Type type, boolean array, long count, String what)
        throws IOException {
      if (type != GgufValue.Type.STRING) {
        return new GgufValue.Numbers(type, array, in.bytes(count, type.bytes(), what));
      }
      in.require(count, Long.BYTES, what);
      List<String> texts = new ArrayList<>((int) count);
      for (long i = 0; i < count; i++) {
        texts.add(in.string(what, Integer.MAX_VALUE));
      }
      return new GgufValue.Texts(array, texts);
    }

    private void readEntry() throws IOException {
      String name = name("a tensor's name", MOST_NAME_BYTES);
      String what = "tensor " + name;
      int dimensions = in.int32("the number of dimensions of " + what);
      if (dimensions < 0 || dimensions > MOST_DIMENSIONS) {
        throw in.bad(
            "%s has %s dimensions, at most %s are allowed",
            what, Integer.toUnsignedString(dimensions), MOST_DIMENSIONS);
      }
      long[] shape = new long[dimensions]; // the file has the innermost dimension first
      for (int i = dimensions - 1; i >= 0; i--) {
        shape[i] = in.int64("the shape of " + what);
        if (shape[i] <= 0) {
          throw in.bad(what + " has the dimension " + shape[i] + ", expected at least 1");
        }
      }
      int type = in.int32("the type of " + what);
      long offset = in.int64("the offset of " + what);
      if (entries.put(name, new Entry(name, shape, type, offset)) != null) {
        throw in.bad(what + " is there twice");
      }
    }

    /** A non-empty string without control characters. */
    private String name(String what, int mostBytes) throws IOException {
      String name = in.string(what, mostBytes);
      if (name.isEmpty() || name.chars().anyMatch(Character::isISOControl)) {
        throw in.bad(what + " is empty or has control characters");
      }
      return name;
    }

    private void requireReadable() {
      List<Entry> refused =
          entries.values().stream().filter(it -> GgufTensorType.of(it.type()).isEmpty()).toList();
      if (!refused.isEmpty()) {
        int type = refused.getFirst().type();
        long count = refused.stream().filter(entry -> entry.type() == type).count();
        throw in.bad(
            count
                + (count == 1 ? " tensor has the type " : " tensors have the type ")
                + GgufTensorType.describe(type)
                + " ("
                + refused.getFirst().name()
                + (count == 1 ? ")" : " is the first)")
                + ", but only "
                + GgufTensorType.readable()
                + " are read");
      }
    }

    private int alignment(GgufMetadata metadata) {
      if (!metadata.contains(ALIGNMENT)) {
        return DEFAULT_ALIGNMENT;
      }
      int alignment = metadata.whole(ALIGNMENT, 1, 1 << 20);
      if (Integer.bitCount(alignment) != 1) {
        throw in.bad("key " + ALIGNMENT + " is " + alignment + ", expected a power of two");
      }
      return alignment;
    }

    private static long aligned(long position, int alignment) {
      return (position + alignment - 1) & -alignment;
    }

    /** Computes every tensor's bytes, which must be consecutive except for alignment. */
    private Map<String, StoredTensor> place(long dataBytes, int alignment) {
      Map<String, StoredTensor> tensors = new LinkedHashMap<>();
      long end = 0;
      for (Entry entry : entries.values()) {
        long begin = aligned(end, alignment);
        if (entry.offset() != begin) {
          throw bad(
              entry,
              "begins at byte %s of the data, expected %s, right behind the tensor before it",
              Long.toUnsignedString(entry.offset()),
              begin);
        }
        StoredType type = GgufTensorType.of(entry.type()).orElseThrow();
        long bytes = bytes(entry, type);
        if (bytes > dataBytes - begin) {
          throw bad(
              entry,
              "takes %s bytes from byte %s of the data on, but the file holds only %s%s",
              bytes,
              begin,
              Math.max(0, dataBytes),
              SavedFile.CUT_OFF);
        }
        end = begin + bytes;
        tensors.put(entry.name(), new StoredTensor(entry.name(), type, entry.shape(), begin, end));
      }
      return tensors;
    }

    private long bytes(Entry entry, StoredType type) {
      long[] shape = entry.shape();
      long row = shape.length == 0 ? 1 : shape[shape.length - 1];
      if (row % type.elements() != 0) {
        throw bad(
            entry,
            "has rows of %s elements, expected a multiple of %s, a block of %s",
            row,
            type.elements(),
            type);
      }
      try {
        long bytes = Math.multiplyExact(row / type.elements(), type.bytes());
        for (int i = 0; i < shape.length - 1; i++) {
          bytes = Math.multiplyExact(bytes, shape[i]);
        }
        return bytes;
      } catch (ArithmeticException _) {
        throw bad(entry, "has the shape " + Arrays.toString(shape) + ", whose size overflows");
      }
    }

    private CheckpointException bad(Entry entry, String pattern, Object... values) {
      return in.bad("tensor %s %s", entry.name(), Words.of(pattern, values));
    }
  }
}
