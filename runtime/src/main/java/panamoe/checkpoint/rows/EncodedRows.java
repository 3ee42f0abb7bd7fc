package panamoe.checkpoint.rows;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import panamoe.checkpoint.NonFinite;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.io.Require;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;

/**
 * A tensor to be written: it is read, rounded to its type, and written in pieces of about a million
 * elements.
 *
 * @param type in the file; blocks are along the last dimension
 */
public record EncodedRows(RowTensor tensor, StoredType type) implements Elements {
  /** The types that rows in other types can be rounded to. */
  public static final List<StoredType> TYPES =
      List.of(
          StoredType.F32,
          StoredType.F16,
          StoredType.BF16,
          StoredType.of(DType.INT8_BLOCKS),
          StoredType.of(DType.INT4_BLOCKS));

  private static final long PIECE_ELEMENTS = 1 << 20;

  public EncodedRows {
    boolean held = type.blocks().filter(tensor.rows().dtype()::equals).isPresent();
    if (!held && !TYPES.contains(type) || tensor.rows().columns() % type.elements() != 0) {
      throw new IllegalArgumentException(
          "rows of " + tensor.rows().columns() + " elements are not written as " + type);
    }
  }

  /**
   * A tensor for a GGUF file, in the blocks of its rows, byte for byte. Int8 blocks if they are in
   * several formats, or in one that such files lack; {@link #asRead} if some were never rounded.
   */
  public static EncodedRows asStored(RowTensor tensor) {
    Optional<RowSource> blocks =
        tensor.rows().inBlocks().filter(rows -> rows.dtype().blocks().gguf() >= 0);
    if (blocks.isPresent()) {
      RowTensor held = new RowTensor(tensor.shape(), blocks.get());
      return new EncodedRows(held, StoredType.of(blocks.get().dtype()));
    }
    return parts(tensor).allMatch(EncodedRows::isRounded)
        ? new EncodedRows(tensor, StoredType.of(DType.INT8_BLOCKS))
        : asRead(tensor);
  }

  /** Whether some of its rows were in other blocks than it is written in. */
  public boolean changesBlocks() {
    return !tensor.rows().dtype().isBlocks() && parts(tensor).anyMatch(EncodedRows::isRounded);
  }

  private static boolean isRounded(RowSource rows) {
    return rows.inBlocks().filter(blocks -> blocks.dtype().isRounded()).isPresent();
  }

  private static Stream<RowSource> parts(RowTensor tensor) {
    return tensor.rows() instanceof JoinedRows(List<RowSource> parts)
        ? parts.stream()
        : Stream.of(tensor.rows());
  }

  /** A tensor in the type of its rows. */
  public static EncodedRows asRead(RowTensor tensor) {
    return new EncodedRows(
        tensor, tensor.rows().dtype() == DType.BFLOAT16 ? StoredType.BF16 : StoredType.F32);
  }

  @Override
  public DType dtype() {
    return type.sameBits().or(type::blocks).orElseThrow();
  }

  @Override
  public long[] shape() {
    return tensor.shape().clone();
  }

  @Override
  public long bytes() {
    return tensor.rows().rows() * rowBytes();
  }

  private long rowBytes() {
    return tensor.rows().columns() / type.elements() * type.bytes();
  }

  /**
   * @throws panamoe.checkpoint.CheckpointException if the rows cannot be read
   * @throws IllegalArgumentException if a number is NaN or infinite, also after rounding to this
   *     type
   */
  @Override
  public void readBy(Reader reader) throws IOException {
    RowSource rows = tensor.rows();
    long columns = rows.columns();
    long step = Math.clamp(PIECE_ELEMENTS / Math.max(1, columns), 1, Math.max(1, rows.rows()));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment read = arena.allocate(rows.dtype().bytes(step * columns), Long.BYTES);
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, step * columns);
      MemorySegment encoded = arena.allocate(step * rowBytes(), Long.BYTES);
      for (long row = 0; row < rows.rows(); row += step) {
        long count = Math.min(step, rows.rows() - row);
        MemorySegment piece = read.asSlice(0, rows.dtype().bytes(count * columns));
        rows.read(row, count, 0, columns, piece);
        if (type.sameBits().or(type::blocks).filter(rows.dtype()::equals).isPresent()) {
          requireFinite(rows.dtype(), piece);
          reader.read(piece);
          continue;
        }
        MemorySegment wide = floats.asSlice(0, count * columns * Float.BYTES);
        StoredType.of(rows.dtype()).decode(piece, wide);
        MemorySegment bytes = encoded.asSlice(0, count * rowBytes());
        encode(wide, bytes);
        reader.read(bytes);
      }
    }
  }

  private static void requireFinite(DType dtype, MemorySegment piece) {
    Require.that(NonFinite.count(dtype, piece) == 0, "a number is NaN or infinite");
  }

  private short half(float value) {
    boolean bfloat16 = type == StoredType.BF16;
    short bits = bfloat16 ? BFloat16.fromFloat(value) : Float.floatToFloat16(value);
    if (!Float.isFinite(bfloat16 ? BFloat16.toFloat(bits) : Float.float16ToFloat(bits))) {
      throw new IllegalArgumentException(
          "a number is " + value + ", which " + type + " does not hold");
    }
    return bits;
  }

  private void encode(MemorySegment floats, MemorySegment to) {
    if (type == StoredType.F32) {
      requireFinite(DType.FLOAT32, floats);
      to.copyFrom(floats);
    } else if (type.blocks().isPresent()) {
      dtype().blocks().round(floats, to);
    } else {
      for (long i = 0; i < to.byteSize() / Short.BYTES; i++) {
        float value = floats.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        to.setAtIndex(ValueLayout.JAVA_SHORT, i, half(value));
      }
    }
  }
}
