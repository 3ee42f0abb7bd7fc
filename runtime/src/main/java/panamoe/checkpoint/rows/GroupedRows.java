package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import panamoe.blocks.BlockFormat;
import panamoe.checkpoint.BlockRows;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.DType;

/**
 * Rows in groups that share a scale and a zero point: {@code scale · (code - zero)}. Groups of
 * whole blocks are blocks: of Q4_0, of Q4_1 with {@code -scale · zero} as minimum, or of Q8_0 and
 * its variants. Their scales and minima have 16 bits, also when they are decoded.
 *
 * @param name of the matrix, for messages
 * @param codes UINT8 [N, K]
 * @param scales [N, K / size], floats
 * @param zeros UINT8, one for each scale; null for symmetric codes
 * @param order INT32 [K, 1], the group of each column; null: {@code k / size}
 */
public record GroupedRows(
    String name, RowSource codes, RowSource scales, RowSource zeros, RowSource order, Groups groups)
    implements RowSource {
  private static final float HALF_LIMIT = 65520; // rounds to infinity in 16 bits

  /**
   * What the groups of a matrix are.
   *
   * @param bits of a code
   * @param size columns of a group; 0: all
   * @param symmetric whether every zero point is half of the codes' range
   * @param reordered whether columns may belong to any group
   */
  public record Groups(int bits, int size, boolean symmetric, boolean reordered) {
    int middle() {
      return 1 << bits - 1;
    }
  }

  public GroupedRows {
    scales = WidenedRows.of(scales);
    long columns = codes.columns();
    groups =
        groups.size > 0
            ? groups
            : new Groups(groups.bits, (int) columns, groups.symmetric, groups.reordered);
    if (columns % groups.size != 0) {
      throw new CheckpointException(
          "it has %s columns, which groups of %s do not divide", columns, groups.size);
    }
    requireOneEach("scales", scales, codes.rows(), columns / groups.size);
    if (zeros != null) {
      requireOneEach("zero points", zeros, codes.rows(), columns / groups.size);
    }
    if (order != null && order.rows() != columns) {
      throw new CheckpointException("it has %s columns, but a g_idx of %s", columns, order.rows());
    }
  }

  private static void requireOneEach(String what, RowSource found, long rows, long columns) {
    if (found.rows() != rows || found.columns() != columns) {
      throw new CheckpointException(
          "its %s are [%s, %s], expected [%s, %s]: one for each group",
          what, found.rows(), found.columns(), rows, columns);
    }
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public long rows() {
    return codes.rows();
  }

  @Override
  public long columns() {
    return codes.columns();
  }

  @Override
  public boolean encoded() {
    return true;
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return blocks().filter(rows -> rows.type().blocks().isPresent()).map(rows -> rows);
  }

  private Optional<BlockRows> blocks() {
    return Optional.ofNullable(format())
        .map(StoredType::valueOf)
        .map(type -> new BlockRows(type, rows(), columns(), this::stored));
  }

  private String format() {
    return groups.reordered
        ? null
        : BlockFormat.ofGroups(groups.bits, groups.symmetric, groups.size);
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    Optional<BlockRows> blocks = blocks();
    if (blocks.isPresent()) {
      blocks.get().decode(row, rows, column, columns, into);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      Piece piece = new Piece(arena, row, rows, column, columns);
      for (long i = 0, at = 0; i < rows; i++) {
        for (long j = 0; j < columns; j++, at++) {
          float value = piece.scale(i, j) * (piece.code(i, j) - piece.zero(i, j));
          into.setAtIndex(ValueLayout.JAVA_FLOAT, at, value);
        }
      }
    }
  }

  private void stored(long row, long rows, long column, long columns, MemorySegment into) {
    StoredType type = StoredType.valueOf(format());
    try (Arena arena = Arena.ofConfined()) {
      Piece piece = new Piece(arena, row, rows, column, columns);
      long at = 0;
      for (long i = 0; i < rows; i++) {
        for (long j = 0; j < columns; j += type.elements()) {
          float scale = piece.scale(i, j);
          at = putHalf(into, at, scale);
          if (!groups.symmetric) {
            at = putHalf(into, at, -scale * piece.zero(i, j));
          }
          if (groups.bits == 8) {
            for (long k = j; k < j + type.elements(); k++) {
              byte code = (byte) (piece.code(i, k) - groups.middle());
              into.set(ValueLayout.JAVA_BYTE, at++, code);
            }
          } else {
            for (long k = j; k < j + 16; k++) {
              byte pair = (byte) (piece.code(i, k) | piece.code(i, k + 16) << 4);
              into.set(ValueLayout.JAVA_BYTE, at++, pair);
            }
          }
        }
      }
    }
  }

  private static long putHalf(MemorySegment into, long at, float value) {
    short bits = Float.floatToFloat16(value);
    into.set(ValueLayout.JAVA_BYTE, at, (byte) bits);
    into.set(ValueLayout.JAVA_BYTE, at + 1, (byte) (bits >> 8));
    return at + 2;
  }

  /** A rectangle of codes, with the scales and zero points of its groups. */
  private final class Piece {
    private final MemorySegment codesRead;
    private final MemorySegment scalesRead;
    private final MemorySegment zerosRead; // null without zeros
    private final MemorySegment orderRead; // null without an order
    private final long column;
    private final long columns;
    private final long firstGroup;
    private final long across;

    Piece(Arena arena, long row, long rows, long column, long columns) {
      this.column = column;
      this.columns = columns;
      this.firstGroup = groups.reordered ? 0 : column / groups.size;
      this.across =
          groups.reordered
              ? scales.columns()
              : Math.ceilDiv(column + columns, (long) groups.size) - firstGroup;
      codesRead = arena.allocate(rows * columns);
      codes.read(row, rows, column, columns, codesRead);
      scalesRead = arena.allocate(ValueLayout.JAVA_FLOAT, rows * across);
      scales.read(row, rows, firstGroup, across, scalesRead);
      zerosRead = zeros == null ? null : arena.allocate(rows * across);
      if (zeros != null) {
        zeros.read(row, rows, firstGroup, across, zerosRead);
      }
      orderRead = order == null ? null : arena.allocate(ValueLayout.JAVA_INT, columns);
      if (order != null) {
        order.read(column, columns, 0, 1, orderRead);
      }
      requireGroups(row, rows);
      requireOrder();
    }

    /** Rounding to 16 bits must not give infinity. */
    private void requireGroups(long row, long rows) {
      for (long i = 0; i < rows * across; i++) {
        float scale = scalesRead.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        int zero = zerosRead == null ? 0 : zerosRead.get(ValueLayout.JAVA_BYTE, i) & 255;
        String where = " of row " + (row + i / across) + ", group " + (firstGroup + i % across);
        if (scale == 0 || !(Math.abs(scale) * Math.max(1, zero) < HALF_LIMIT)) {
          throw new CheckpointException(
              "%s: the scale%s is %s, expected a number other than 0 that 16 bits hold",
              name, where, scale);
        }
        if (zerosRead != null && groups.symmetric && zero != groups.middle()) {
          throw new CheckpointException(
              "%s: the zero point%s is %s, expected %s for symmetric codes: the folder stores"
                  + " another convention than its configuration says",
              name, where, zero, groups.middle());
        }
      }
    }

    private void requireOrder() {
      for (long j = 0; orderRead != null && j < columns; j++) {
        long group = orderRead.getAtIndex(ValueLayout.JAVA_INT, j);
        long natural = (column + j) / groups.size;
        if (groups.reordered ? group < 0 || group >= across : group != natural) {
          throw new CheckpointException(
              "%s: g_idx puts column %s into group %s, expected %s",
              name,
              column + j,
              group,
              groups.reordered
                  ? "one of " + across
                  : natural + ", because the configuration names no order (desc_act)");
        }
      }
    }

    private long group(long i, long j) {
      long group =
          groups.reordered && orderRead != null
              ? orderRead.getAtIndex(ValueLayout.JAVA_INT, j)
              : (column + j) / groups.size;
      return i * across + group - firstGroup;
    }

    float scale(long i, long j) {
      return scalesRead.getAtIndex(ValueLayout.JAVA_FLOAT, group(i, j));
    }

    int zero(long i, long j) {
      return zerosRead == null
          ? groups.middle()
          : zerosRead.get(ValueLayout.JAVA_BYTE, group(i, j)) & 255;
    }

    int code(long i, long j) {
      return codesRead.get(ValueLayout.JAVA_BYTE, i * columns + j) & 255;
    }
  }
}
