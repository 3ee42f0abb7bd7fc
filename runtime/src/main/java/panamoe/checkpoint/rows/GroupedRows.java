package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
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
    /** The code of 0, unless a group has a zero point. */
    public int middle() {
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
      float[] values = new float[(int) columns];
      for (long i = 0; i < rows; i++) {
        piece.readLine(i);
        for (int j = 0; j < values.length; j++) {
          int group = piece.group[j];
          values[j] = piece.scales[group] * ((piece.codes[j] & 255) - (piece.zeros[group] & 255));
        }
        long at = i * columns * Float.BYTES;
        MemorySegment.copy(values, 0, into, ValueLayout.JAVA_FLOAT, at, values.length);
      }
    }
  }

  private void stored(long row, long rows, long column, long columns, MemorySegment into) {
    StoredType type = StoredType.valueOf(format());
    byte middle = (byte) groups.middle();
    try (Arena arena = Arena.ofConfined()) {
      Piece piece = new Piece(arena, row, rows, column, columns);
      byte[] codes = piece.codes;
      byte[] blocks = new byte[codes.length / type.elements() * type.bytes()];
      for (long i = 0; i < rows; i++) {
        piece.readLine(i);
        int at = 0;
        for (int j = 0; j < codes.length; j += type.elements()) {
          int group = piece.group[j];
          at = putHalf(blocks, at, piece.scales[group]);
          if (!groups.symmetric) {
            at = putHalf(blocks, at, -piece.scales[group] * (piece.zeros[group] & 255));
          }
          if (groups.bits == 8) {
            for (int k = j; k < j + type.elements(); k++) {
              blocks[at++] = (byte) (codes[k] - middle);
            }
          } else {
            for (int k = j; k < j + 16; k++) {
              blocks[at++] = (byte) (codes[k] | codes[k + 16] << 4);
            }
          }
        }
        MemorySegment.copy(blocks, 0, into, ValueLayout.JAVA_BYTE, i * at, at);
      }
    }
  }

  private static int putHalf(byte[] into, int at, float value) {
    short bits = Float.floatToFloat16(value);
    into[at] = (byte) bits;
    into[at + 1] = (byte) (bits >> 8);
    return at + 2;
  }

  /** A rectangle of codes, with the scales and zero points of its groups; a row at a time. */
  private final class Piece {
    final byte[] codes;
    final float[] scales;
    final byte[] zeros;

    /** Of each column, among those that are read. */
    final int[] group;

    private final MemorySegment codesRead;
    private final MemorySegment scalesRead;
    private final MemorySegment zerosRead; // null without zeros
    private final long row;
    private final long firstGroup;

    Piece(Arena arena, long row, long rows, long column, long columns) {
      this.row = row;
      firstGroup = groups.reordered ? 0 : column / groups.size;
      long across =
          groups.reordered
              ? GroupedRows.this.scales.columns()
              : Math.ceilDiv(column + columns, (long) groups.size) - firstGroup;
      codesRead = arena.allocate(rows * columns);
      GroupedRows.this.codes.read(row, rows, column, columns, codesRead);
      scalesRead = arena.allocate(ValueLayout.JAVA_FLOAT, rows * across);
      GroupedRows.this.scales.read(row, rows, firstGroup, across, scalesRead);
      RowSource points = GroupedRows.this.zeros;
      zerosRead = points == null ? null : arena.allocate(rows * across);
      if (points != null) {
        points.read(row, rows, firstGroup, across, zerosRead);
      }
      codes = new byte[Math.toIntExact(columns)];
      scales = new float[Math.toIntExact(across)];
      zeros = new byte[scales.length];
      Arrays.fill(zeros, (byte) groups.middle());
      group = groupsOf(arena, column);
    }

    private int[] groupsOf(Arena arena, long column) {
      int[] natural = new int[codes.length];
      Arrays.setAll(natural, j -> (int) ((column + j) / groups.size - firstGroup));
      if (order == null) {
        return natural;
      }
      MemorySegment read = arena.allocate(ValueLayout.JAVA_INT, natural.length);
      order.read(column, natural.length, 0, 1, read);
      int[] given = read.toArray(ValueLayout.JAVA_INT);
      for (int j = 0; j < given.length; j++) {
        long expected = natural[j] + firstGroup;
        if (groups.reordered ? given[j] < 0 || given[j] >= scales.length : given[j] != expected) {
          throw new CheckpointException(
              "%s: g_idx puts column %s into group %s, expected %s",
              name,
              column + j,
              given[j],
              groups.reordered
                  ? "one of " + scales.length
                  : expected + ", because the configuration names no order (desc_act)");
        }
      }
      return groups.reordered ? given : natural;
    }

    void readLine(long i) {
      int across = scales.length;
      MemorySegment.copy(
          codesRead, ValueLayout.JAVA_BYTE, i * codes.length, codes, 0, codes.length);
      MemorySegment.copy(
          scalesRead, ValueLayout.JAVA_FLOAT, i * across * Float.BYTES, scales, 0, across);
      if (zerosRead != null) {
        MemorySegment.copy(zerosRead, ValueLayout.JAVA_BYTE, i * across, zeros, 0, across);
      }
      for (int g = 0; g < across; g++) {
        requireGroup(row + i, g);
      }
    }

    /** Rounding to 16 bits must give neither infinity nor 0. */
    private void requireGroup(long line, int g) {
      int zero = zerosRead == null ? 0 : zeros[g] & 255;
      float held = Float.float16ToFloat(Float.floatToFloat16(scales[g]));
      if (held == 0 || !(Math.abs(scales[g]) * Math.max(1, zero) < HALF_LIMIT)) {
        throw new CheckpointException(
            "%s: the scale%s is %s, expected a number other than 0 that 16 bits hold",
            name, where(line, g), scales[g]);
      }
      if (zerosRead != null && groups.symmetric && zero != groups.middle()) {
        throw new CheckpointException(
            "%s: the zero point%s is %s, expected %s for symmetric codes: the folder stores"
                + " another convention than its configuration says",
            name, where(line, g), zero, groups.middle());
      }
    }

    private String where(long line, int g) {
      return " of row " + line + ", group " + (firstGroup + g);
    }
  }
}
