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
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GemmKernels;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LoadTarget;
import panamoe.checkpoint.LoadTarget.Share;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.WeightLoader;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** {@link RowSource#inBlocks}: matrices that keep a file's blocks for kernels. */
class StoredBlocksTest {
  private static final int EXPERTS = 2;
  private static final int ROWS = 80;
  private static final int COLUMNS = 512;
  private static final int TOKENS = 3;

  /** Formats with a minimum after the scale. */
  private static final Set<DType> MINIMA =
      Set.of(DType.Q4_1, DType.Q5_1, DType.Q2_K, DType.Q4_K, DType.Q5_K);

  private final MemoryFiles files = new MemoryFiles();
  private final Random random = new Random(8);
  private final Backend cpu = Backends.open("cpu", 2);

  @AfterEach
  void close() {
    cpu.close();
  }

  /** An expert of a stack of random blocks, whose scales are about 0.01. */
  private RowSource part(String name, DType dtype) {
    byte[] bytes = new byte[Math.toIntExact(dtype.bytes((long) EXPERTS * ROWS * COLUMNS))];
    random.nextBytes(bytes);
    ByteBuffer blocks = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at < bytes.length; at += dtype.blockBytes()) {
      if (dtype == DType.MXFP4) {
        blocks.put(at, (byte) (120 + random.nextInt(8)));
        continue;
      }
      if (dtype == DType.FP8_128) {
        blocks.putFloat(at, 1e-4f + 1e-4f * random.nextFloat());
        for (int i = at + 4; i < at + 132; i++) {
          bytes[i] = (bytes[i] & 127) == 127 ? 0 : bytes[i]; // no NaN
        }
        continue;
      }
      short scale = Float.floatToFloat16(0.01f + 0.01f * random.nextFloat());
      int first =
          switch (dtype) {
            case Q6_K -> 208;
            case Q3_K -> 108;
            case Q2_K -> 80;
            default -> 0;
          };
      blocks.putShort(at + first, scale);
      if (MINIMA.contains(dtype)) {
        blocks.putShort(at + first + 2, scale);
      }
    }
    StoredType type = StoredType.of(dtype);
    return StoredRows.part(files, files.put(name, type, bytes, EXPERTS, ROWS, COLUMNS), 1);
  }

  private static float[] decoded(RowSource source, int columns, int from) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(ValueLayout.JAVA_FLOAT, source.rows() * columns);
      source.read(0, source.rows(), from, columns, into);
      return into.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /** Two stacked matrices, whole and sliced over ranks. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      mode = EnumSource.Mode.MATCH_ALL,
      names = ".*(Q|FP)\\d.*") // those in blocks
  void productsAreThoseOfDecodedWeightsAndRoundedRows(DType dtype) {
    RowSource both = new JoinedRows(List.of(part("gate", dtype), part("up", dtype)));
    assertEquals(DType.FLOAT32, both.dtype());
    float[] all = decoded(both, COLUMNS, 0);
    assertEquals(cpu.packedBytes(dtype, 64, COLUMNS), dtype.packedBytes(64 * COLUMNS));
    requireProduct(dtype, both, Share.WHOLE, COLUMNS, all);
    requireProduct(
        dtype, both, new Share(1, 1, 1, 2), COLUMNS / 2, decoded(both, COLUMNS / 2, COLUMNS / 2));
    float[] lower = new float[all.length / 2];
    for (int half = 0; half < 2; half++) { // of the gates and of the ups
      int from = (half * ROWS + ROWS / 2) * COLUMNS;
      System.arraycopy(all, from, lower, half * lower.length / 2, lower.length / 2);
    }
    requireProduct(dtype, both, new Share(0, 2, 1, 2), COLUMNS, lower);
  }

  private void requireProduct(
      DType dtype, RowSource source, Share share, int columns, float[] weights) {
    int rows = weights.length / columns;
    try (Backend reference = new ReferenceBackend()) {
      for (Backend backend : List.of(cpu, reference)) {
        try (TensorScope scope = TensorScope.confined(backend)) {
          Tensor packed =
              scope.allocatePacked(dtype, backend.packedBytes(dtype, rows, columns), rows, columns);
          load(source, share, packed, backend);
          Tensor x = scope.allocate(DType.FLOAT32, TOKENS, columns);
          for (int i = 0; i < TOKENS * columns; i++) {
            x.setFloat(i, (float) random.nextGaussian());
          }
          Tensor y = scope.allocate(DType.FLOAT32, TOKENS, rows);
          backend.gemm(false, true, false, x, packed, y, GemmKernels.Epilogue.NONE);
          backend.synchronize();
          requireNear(x, weights, columns, y, dtype + " on " + backend.name());
        }
      }
    }
  }

  private static void load(RowSource source, Share share, Tensor packed, Backend backend) {
    long[] shape = {source.rows(), source.columns()};
    WeightLoader.load(
        Path.of("model.gguf"),
        Map.of("w", source),
        Map.of("w", new LoadTarget(DType.FLOAT32, shape, share, packed)),
        backend,
        true,
        _ -> {});
  }

  /** A code of 32 numbers is off by half of a 127th of the largest. */
  private static void requireNear(Tensor x, float[] weights, int columns, Tensor y, String what) {
    int rows = weights.length / columns;
    int large = 0;
    for (int i = 0; i < TOKENS * rows; i++) {
      double sum = 0;
      double bound = 0;
      for (int k = 0; k < columns; k += 32) {
        double most = 0;
        double magnitudes = 0;
        for (int j = k; j < k + 32; j++) {
          float number = x.getFloat(i / rows * columns + j);
          double weight = weights[i % rows * columns + j];
          sum += number * weight;
          magnitudes += Math.abs(weight);
          most = Math.max(most, Math.abs(number));
        }
        bound += magnitudes * most * (0.5 / 127 + 1e-5);
      }
      assertEquals(sum, y.getFloat(i), bound, what);
      large += Math.abs(sum) > 2 * bound ? 1 : 0;
    }
    assertTrue(large > TOKENS * rows / 3, "the bound tells products from others");
  }

  @Test
  void joinedRowsOfTwoTypesAreDecoded() {
    RowSource fours = part("gate", DType.Q4_K);
    assertEquals(Optional.of(DType.Q4_K), fours.inBlocks().map(RowSource::dtype));
    RowSource both = new JoinedRows(List.of(fours, part("up", DType.Q6_K)));
    assertEquals(Optional.empty(), both.inBlocks());
    assertEquals(Optional.empty(), new TransposedRows(fours).inBlocks());
  }

  /** The last two rows of each of two heads, as a stack; transposed, they are decoded. */
  @Test
  void rowsOfHeadsStayInBlocks() {
    byte[] bytes = new byte[6 * 34];
    random.nextBytes(bytes);
    RowSource all = StoredRows.of(files, files.put("kv", StoredType.of(DType.Q8_0), bytes, 6, 32));
    RowSource heads = new HeadRows(all, 2, 1, 2, false).inBlocks().orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment read = arena.allocate(4 * 34);
      heads.read(0, 2, 0, heads.columns(), read);
      for (int i = 0; i < 4; i++) {
        int row = i / 2 * 3 + 1 + i % 2;
        MemorySegment stored = MemorySegment.ofArray(bytes).asSlice(row * 34, 34);
        assertEquals(-1, stored.mismatch(read.asSlice(i * 34, 34)));
      }
    }
    assertEquals(Optional.empty(), new HeadRows(all, 2, 0, 1, true).inBlocks());
  }

  /** GPT-OSS's order of bits, and interleaved rows. */
  @Test
  void mxfp4OfTwoTensorsBecomesBlocks() {
    byte[] pairs = new byte[4 * 32];
    byte[] exponents = new byte[4 * 2];
    random.nextBytes(pairs);
    for (int i = 0; i < exponents.length; i++) {
      exponents[i] = (byte) (120 + random.nextInt(16));
    }
    RowSource fours =
        new PairedRows(
            StoredRows.part(files, files.put("b", StoredType.U8, pairs, 1, 4, 2, 16), 0),
            StoredRows.part(files, files.put("s", StoredType.U8, exponents, 1, 4, 2), 0));
    RowSource inTurn = new StridedRows(fours, 1, 2);
    RowSource blocks = inTurn.inBlocks().orElseThrow();
    float[] expected = decoded(inTurn, 32, 32);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(DType.MXFP4.bytes(expected.length));
      blocks.read(0, 2, 32, 32, bytes);
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, expected.length);
      DType.MXFP4.blocks().decode(bytes, floats);
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], floats.getAtIndex(ValueLayout.JAVA_FLOAT, i), 0f);
      }
    }
  }

  /** Scales of blocks of 3 rows by 128 columns, and of whole rows. */
  @Test
  void fp8OfTwoTensorsBecomesBlocks() {
    byte[] codes = new byte[6 * 384];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (byte) (random.nextInt(127) - random.nextInt(2) * 128);
    }
    RowSource values = StoredRows.of(files, files.put("c", StoredType.F8_E4M3, codes, 6, 384));
    for (int across : new int[] {3, 1}) {
      int down = across == 3 ? 2 : 6;
      ByteBuffer scales = ByteBuffer.allocate(4 * down * across).order(ByteOrder.LITTLE_ENDIAN);
      while (scales.hasRemaining()) {
        scales.putFloat(random.nextFloat());
      }
      String name = "s" + across;
      RowSource factors =
          StoredRows.of(files, files.put(name, StoredType.F32, scales.array(), down, across));
      ScaledRows rows = new ScaledRows(values, factors, 6 / down, 384 / across);
      RowSource blocks = rows.inBlocks().orElseThrow();
      float[] expected = decoded(rows, 256, 128);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment bytes = arena.allocate(blocks.dtype().bytes(expected.length));
        blocks.read(0, 6, 128, 256, bytes);
        MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, expected.length);
        blocks.dtype().blocks().decode(bytes, floats);
        assertArrayEquals(expected, floats.toArray(ValueLayout.JAVA_FLOAT));
      }
    }
    RowSource few = StoredRows.of(files, files.put("few", StoredType.F32, new byte[24], 1, 6));
    assertEquals(Optional.empty(), new ScaledRows(values, few, 6, 64).inBlocks());
  }

  @Test
  void scalesThatAreNotFiniteAreRefused() {
    byte[] bytes = new byte[ROWS * 34];
    bytes[5 * 34 + 1] = 0x7e; // NaN of 16 bits
    RowSource source =
        StoredRows.of(files, files.put("w", StoredType.of(DType.Q8_0), bytes, ROWS, 32));
    try (TensorScope scope = TensorScope.confined(cpu)) {
      Tensor packed =
          scope.allocatePacked(DType.Q8_0, cpu.packedBytes(DType.Q8_0, ROWS, 32), ROWS, 32);
      String message =
          assertThrows(CheckpointException.class, () -> load(source, Share.WHOLE, packed, cpu))
              .getMessage();
      assertTrue(message.contains("32 NaN or infinite values in 1 tensor: w"), message);
    }
  }
}
