package panamoe.checkpoint.rows;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.GroupedRows.Groups;
import panamoe.checkpoint.rows.UnpackedRows.Along;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

class RowSourcesTest {
  private final MemoryFiles files = new MemoryFiles();

  /** [rows, columns] with 100 * row + column. */
  private RowSource numbered(StoredType type, int rows, int columns) {
    ByteBuffer out = ByteBuffer.allocate(4 * rows * columns).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < rows * columns; i++) {
      float value = 100 * (i / columns) + i % columns;
      switch (type.name()) {
        case "F32" -> out.putFloat(value);
        case "F16" -> out.putShort(Float.floatToFloat16(value));
        default -> out.putShort(BFloat16.fromFloat(value));
      }
    }
    byte[] bytes = new byte[out.position()];
    out.get(0, bytes);
    String name = type + " " + files.tensors().size();
    return StoredRows.of(files, files.put(name, type, bytes, rows, columns));
  }

  private static float[] read(RowSource source, int row, int rows, int column, int columns) {
    try (Arena arena = Arena.ofConfined()) {
      int count = rows * columns;
      MemorySegment into = arena.allocate((long) count * source.dtype().bytes(), 8);
      source.read(row, rows, column, columns, into);
      float[] values = new float[count];
      for (int i = 0; i < count; i++) {
        values[i] =
            source.dtype() == DType.FLOAT32
                ? into.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                : BFloat16.toFloat(into.getAtIndex(ValueLayout.JAVA_SHORT, i));
      }
      return values;
    }
  }

  private static float[] all(RowSource source) {
    return read(source, 0, (int) source.rows(), 0, (int) source.columns());
  }

  @Test
  void composedRowsAreThoseOfTheirParts() {
    RowSource three = numbered(StoredType.F32, 3, 2);
    RowSource two = numbered(StoredType.F32, 2, 2);
    assertArrayEquals(
        new float[] {0, 1, 100, 101, 200, 201, 0, 1, 100, 101},
        all(new JoinedRows(List.of(three, two))));
    assertArrayEquals(new float[] {0, 100, 200, 1, 101, 201}, all(new TransposedRows(three)));
    assertArrayEquals(new float[] {0, 1, 200, 201}, all(new StridedRows(three, 0, 2)));
    assertArrayEquals(new float[] {100, 101}, all(new StridedRows(three, 1, 2)));
  }

  /** ggml's order is a reshape of [heads, 2, D/2] to [heads, D/2, 2]. */
  @Test
  void pairsOfAHeadBecomeHalves() {
    int heads = 2;
    int size = 6;
    RowSource ours = numbered(StoredType.F32, heads * size, 1);
    RowSource halves = ReorderedRows.halvesOfPairs(ours, size);
    float[] found = all(halves);
    for (int head = 0; head < heads; head++) {
      for (int half = 0; half < 2; half++) {
        for (int pair = 0; pair < size / 2; pair++) {
          int stored = head * size + 2 * pair + half;
          assertEquals(100 * stored, found[head * size + half * size / 2 + pair]);
        }
      }
    }
  }

  /** A part of a float16 stack, and rows that are widened for others. */
  @Test
  void stacksAndDtypes() {
    files.put("stack", StoredType.BF16, new byte[2 * 3 * 4 * 2], 3, 4, 2);
    RowSource part = StoredRows.part(files, files.tensors().get("stack"), 1);
    assertEquals(List.of(4L, 2L), List.of(part.rows(), part.columns()));
    assertEquals(DType.BFLOAT16, part.dtype());
    assertEquals(DType.FLOAT32, numbered(StoredType.F16, 1, 1).dtype());
    RowSource half = numbered(StoredType.F16, 2, 2);
    RowSource brain = numbered(StoredType.BF16, 1, 2);
    RowSource mixed = new JoinedRows(List.of(half, brain));
    assertEquals(DType.FLOAT32, mixed.dtype());
    assertArrayEquals(new float[] {0, 1, 100, 101, 0, 1}, all(mixed));
    assertEquals(DType.BFLOAT16, new JoinedRows(List.of(brain, brain)).dtype());
  }

  /** Threads and ranks of a loader read parts of the whole. */
  @Test
  void everyRectangleIsPartOfTheWhole() {
    byte[] scales = new byte[4 * 2 * 3];
    ByteBuffer.wrap(scales).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(2, 3).put(5, 7);
    RowSource factors = StoredRows.of(files, files.put("scales", StoredType.F32, scales, 2, 3));
    byte[] blocks = new byte[4 * 32];
    byte[] exponents = new byte[4 * 2];
    Random random = new Random(3);
    random.nextBytes(blocks);
    for (int i = 0; i < exponents.length; i++) {
      exponents[i] = (byte) (120 + random.nextInt(16));
    }
    RowSource fours =
        new PairedRows(
            StoredRows.part(files, files.put("blocks", StoredType.U8, blocks, 1, 4, 2, 16), 0),
            StoredRows.part(files, files.put("exponents", StoredType.U8, exponents, 1, 4, 2), 0));
    for (RowSource source :
        List.of(
            numbered(StoredType.F32, 7, 9),
            numbered(StoredType.F16, 7, 9),
            new TransposedRows(numbered(StoredType.BF16, 7, 9)),
            new StridedRows(new TransposedRows(numbered(StoredType.F32, 7, 9)), 1, 2),
            new JoinedRows(List.of(numbered(StoredType.F32, 3, 5), numbered(StoredType.F32, 4, 5))),
            ReorderedRows.halvesOfPairs(numbered(StoredType.F32, 8, 5), 4),
            new ScaledRows(numbered(StoredType.F32, 6, 10), factors, 4, 4),
            fours,
            grouped(new Groups(4, 32, false, false)),
            grouped(new Groups(8, 16, false, false)),
            grouped(new Groups(4, 16, true, true)))) {
      float[] whole = all(source);
      int rows = (int) source.rows();
      int columns = (int) source.columns();
      for (int round = 0; round < 100; round++) {
        int row = random.nextInt(rows);
        int column = random.nextInt(columns);
        int down = 1 + random.nextInt(rows - row);
        int across = 1 + random.nextInt(columns - column);
        float[] part = read(source, row, down, column, across);
        for (int i = 0; i < part.length; i++) {
          float expected = whole[(row + i / across) * columns + column + i % across];
          assertEquals(expected, part[i], source.toString());
        }
      }
    }
  }

  private static final int GROUPED_ROWS = 8;
  private static final int GROUPED_COLUMNS = 96;

  /** Random codes, zero points and scales, in an order of columns that reverses groups. */
  private GroupedRows grouped(Groups groups) {
    Random random = new Random(groups.size());
    int across = GROUPED_COLUMNS / groups.size();
    int per = 32 / groups.bits();
    String name = groups.toString();
    byte[] codes = new byte[GROUPED_ROWS * GROUPED_COLUMNS / per * 4];
    byte[] zeros = new byte[GROUPED_ROWS / per * across * 4];
    random.nextBytes(codes);
    random.nextBytes(zeros);
    ByteBuffer scales =
        ByteBuffer.allocate(4 * GROUPED_ROWS * across).order(ByteOrder.LITTLE_ENDIAN);
    while (scales.hasRemaining()) {
      scales.putFloat(random.nextFloat(0.01f, 0.02f));
    }
    ByteBuffer order = ByteBuffer.allocate(4 * GROUPED_COLUMNS).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < GROUPED_COLUMNS; i++) {
      order.putInt(across - 1 - i / groups.size());
    }
    return new GroupedRows(
        name,
        new UnpackedRows(
            stored(name + "q", StoredType.I32, codes, GROUPED_ROWS, GROUPED_COLUMNS / per),
            groups.bits(),
            Along.COLUMNS,
            0),
        stored(name + "s", StoredType.F32, scales.array(), GROUPED_ROWS, across),
        groups.symmetric()
            ? null
            : new UnpackedRows(
                stored(name + "z", StoredType.I32, zeros, GROUPED_ROWS / per, across),
                groups.bits(),
                Along.ROWS,
                0),
        groups.reordered()
            ? stored(name + "o", StoredType.I32, order.array(), GROUPED_COLUMNS)
            : null,
        groups);
  }

  private RowSource stored(String name, StoredType type, byte[] bytes, long... shape) {
    return StoredRows.of(files, files.put(name, type, bytes, shape));
  }

  /** By 2^-11 of a scale times the code, and of the minimum. */
  @Test
  void scalesAndMinimaAreRoundedToSixteenBits() {
    GroupedRows rows = grouped(new Groups(4, 32, false, false));
    float[] found = all(rows);
    float[] scales = all(rows.scales());
    byte[] codes = bytes(rows.codes());
    byte[] zeros = bytes(rows.zeros());
    boolean rounded = false;
    for (int i = 0; i < found.length; i++) {
      int group = i / 32;
      double exact = (double) scales[group] * (codes[i] - zeros[group]);
      assertEquals(exact, found[i], 0x1p-11 * scales[group] * (codes[i] + zeros[group]));
      rounded |= exact != found[i];
    }
    assertTrue(rounded);
  }

  private static byte[] bytes(RowSource source) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(source.rows() * source.columns());
      source.read(0, source.rows(), 0, source.columns(), into);
      return into.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @Test
  void eightBitsAreTheFormatsValues() {
    byte[] bits = {0, 1, 7, 8, 0x38, 0x39, 0x7e, (byte) 0xc0, 0x7f, (byte) 0xff, (byte) 0x80};
    RowSource rows =
        StoredRows.of(files, files.put("f8", StoredType.F8_E4M3, bits, 1, bits.length));
    float[] expected = {
      0, 0x1p-9f, 7 * 0x1p-9f, 0x1p-6f, 1, 1.125f, 448, -2, Float.NaN, Float.NaN, -0f
    };
    assertArrayEquals(expected, all(rows));
  }

  /** The low half of a byte is the first value; an exponent of 127 is a factor of 1. */
  @Test
  void fourBitsAreTheFormatsValues() {
    byte[] blocks = new byte[16];
    for (int i = 0; i < 8; i++) {
      blocks[i] = (byte) (2 * i | 2 * i + 1 << 4);
    }
    blocks[8] = 0x71;
    RowSource values =
        new PairedRows(
            StoredRows.of(files, files.put("b", StoredType.U8, blocks, 1, 16)),
            StoredRows.of(files, files.put("s", StoredType.U8, new byte[] {(byte) 128}, 1, 1)));
    float[] expected = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12, 1, 12};
    assertArrayEquals(expected, read(values, 0, 1, 0, 18));
  }

  @Test
  void partsThatDoNotFitAreRefused() {
    RowSource wide = numbered(StoredType.F32, 2, 3);
    RowSource narrow = numbered(StoredType.F32, 2, 2);
    assertThrows(CheckpointException.class, () -> new JoinedRows(List.of(wide, narrow)));
    assertThrows(CheckpointException.class, () -> new ScaledRows(wide, narrow, 2, 2));
    RowSource halves = numbered(StoredType.BF16, 2, 2);
    RowSource one = numbered(StoredType.F32, 1, 1);
    assertThrows(CheckpointException.class, () -> ScaledRows.whole(halves, one));
    assertThrows(CheckpointException.class, () -> new PairedRows(wide, narrow));
    files.put("i64", StoredType.I64, new byte[8], 1);
    assertThrows(CheckpointException.class, () -> StoredRows.of(files, files.tensors().get("i64")));
  }
}
