package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

/**
 * {@link GemmKernels} with weights in blocks. A CPU rounds rows of the other operand and has exact
 * sums, unless the blocks hold floats; a GPU does not round rows.
 */
class BlockGemmContractTest {
  private static final List<DType> BLOCKS =
      Arrays.stream(DType.values()).filter(DType::isBlocks).toList();

  /** Two or three roundings for each 32 elements, of float32. */
  private static final double SUMS = 3e-7;

  /** Error of float32 sums by tensor cores, and of the reference's input. */
  private static final double GPU_SUMS = 0x1p-19;

  /** Blocks of random codes, whose scales are numbers of 16 bits between 2^-9 and 2^-6. */
  private static Tensor random(Sample sample, DType dtype, long seed, long... shape) {
    int blocks = (int) (Tensor.count(shape) / dtype.blockElements());
    byte[] bytes = new byte[blocks * dtype.blockBytes()];
    Random random = new Random(seed);
    random.nextBytes(bytes);
    int[] scales =
        switch (dtype) {
          case Q4_1, Q5_1, Q4_K, Q5_K -> new int[] {1, 3};
          case Q6_K -> new int[] {209};
          case FP8_128 -> new int[] {};
          case Q3_K -> new int[] {109};
          case Q2_K -> new int[] {81, 83};
          default -> new int[] {1};
        };
    for (int at = 0; at < bytes.length; at += dtype.blockBytes()) {
      if (dtype == DType.FP8_128) {
        bytes[at + 3] = 0x3a; // of float32: 2^-11 to 2^-9
      }
      if (dtype == DType.MXFP4) {
        bytes[at] = (byte) (120 + random.nextInt(5));
        continue;
      }
      for (int i = at + 4; dtype == DType.FP8_128 && i < at + dtype.blockBytes(); i++) {
        bytes[i] = (byte) (bytes[i] & 0xfe); // no NaN
      }
      for (int scale : scales) {
        bytes[at + scale] = (byte) (bytes[at + scale] & 0x83 | 6 + random.nextInt(3) << 2);
      }
    }
    Tensor room = sample.scope().allocate(DType.UINT8, bytes.length);
    room.copyFrom(MemorySegment.ofArray(bytes));
    return room.part(0, dtype, shape);
  }

  private static Tensor packed(Backend backend, Sample sample, Tensor blocks) {
    long bytes = backend.packedBytes(blocks.dtype(), blocks.shape());
    Tensor packed = sample.scope().allocatePacked(blocks.dtype(), bytes, blocks.shape());
    backend.pack(blocks, packed);
    return packed;
  }

  /** An embedding reads the numbers that decoding a row gives; 0 may have lost MXFP4's sign. */
  @EveryBackend
  void anEmbeddingLooksUpRowsOfBlocks(Backend backend) {
    for (DType dtype : BLOCKS) {
      try (Sample sample = new Sample(backend, 5)) {
        Tensor blocks = random(sample, dtype, 6, 70, 512);
        Tensor ids = sample.integers(0, 70, 33);
        Tensor y = sample.unset(33, 512);
        backend.embeddingForward(ids, packed(backend, sample, blocks), null, null, y);
        float[] numbers = new float[70 * 512];
        MemorySegment bytes = HostView.elements(blocks);
        dtype.blocks().decode(bytes, MemorySegment.ofArray(numbers));
        Tensor decoded = sample.floats(numbers, 70, 512);
        Tensor expected = sample.unset(33, 512);
        backend.embeddingForward(ids, decoded, null, null, expected);
        assertClose(expected, y, 0);
      }
    }
  }

  private static Tensor product(Backend on, Sample sample, Tensor a, Tensor b) {
    Tensor c = sample.unset(a.size(0), b.size(0));
    on.gemm(false, true, false, a, b, c, GemmKernels.Epilogue.NONE);
    return c;
  }

  /** A single 1 in each row: products are the numbers, within 2^-21. */
  private static float[] numbers(Backend reference, Sample sample, Tensor packed) {
    int inner = (int) packed.size(1);
    Tensor ones = sample.scope().zeros(DType.FLOAT32, inner, inner);
    for (int i = 0; i < inner; i++) {
      ones.setFloat((long) i * inner + i, 1);
    }
    return product(reference, sample, ones, packed).toFloats(); // [K, N]
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    int[][] sizes = {{1, 1, 1}, {3, 33, 2}, {7, 100, 1}, {13, 65, 3}};
    try (Backend reference = new ReferenceBackend()) {
      for (DType dtype : BLOCKS) {
        for (int[] size : sizes) {
          int inner = size[2] * Math.max(dtype.blockElements(), 64);
          try (Sample here = new Sample(backend, 1);
              Sample there = new Sample(reference, 1)) {
            Tensor b = packed(reference, there, random(there, dtype, 2, size[1], inner));
            Tensor a = there.normal(DType.BFLOAT16, size[0], inner);
            float[] expected = product(reference, there, a, b).toFloats();
            float[] numbers = numbers(reference, there, b);
            float[] left = a.toFloats();
            float[] found =
                product(
                        backend,
                        here,
                        here.normal(DType.BFLOAT16, size[0], inner),
                        packed(backend, here, random(here, dtype, 2, size[1], inner)))
                    .toFloats();
            for (int i = 0; i < expected.length; i++) {
              double exact = 0;
              double magnitude = 0;
              for (int k = 0; k < inner; k++) {
                double x = left[i / size[1] * inner + k];
                exact += x * numbers[k * size[1] + i % size[1]];
                magnitude += Math.abs(x * numbers[k * size[1] + i % size[1]]);
              }
              boolean rounds = backend.onHost() && dtype.blocks().roundsRows();
              double sums = rounds ? 1.02 * SUMS : GPU_SUMS;
              double bound = sums * magnitude + 1.2e-7 * Math.abs(expected[i]) + 1e-12;
              assertEquals(rounds ? expected[i] : exact, found[i], bound, dtype + " at " + i);
            }
          }
        }
      }
    }
  }

  /** No backend rounds rows for exact blocks; an outlier shows it. */
  @EveryBackend
  void exactBlocksAreMultipliedByRowsAsTheyAre(Backend backend) {
    try (Backend reference = new ReferenceBackend()) {
      for (DType dtype : BLOCKS) {
        int inner = 2 * Math.max(dtype.blockElements(), 64);
        try (Sample here = new Sample(backend, 1);
            Sample there = new Sample(reference, 1)) {
          Tensor blocks = packed(reference, there, random(there, dtype, 2, 33, inner));
          float[] numbers = numbers(reference, there, blocks);
          Tensor a = here.normal(DType.BFLOAT16, 7, inner);
          a.setFloat(0, 1000);
          float[] left = a.toFloats();
          Tensor usual = packed(backend, here, random(here, dtype, 2, 33, inner));
          float[] found = product(backend, here, a, usual.asExact()).toFloats();
          float[] rounded = product(backend, here, a, usual).toFloats();
          double seen = 0;
          for (int i = 0; i < found.length; i++) {
            double exact = 0;
            double magnitude = 0;
            for (int k = 0; k < inner; k++) {
              double x = (double) left[i / 33 * inner + k] * numbers[k * 33 + i % 33];
              exact += x;
              magnitude += Math.abs(x);
            }
            double bound = GPU_SUMS * magnitude + 1e-12;
            assertEquals(exact, found[i], bound, dtype + " at " + i);
            seen = Math.max(seen, Math.abs(rounded[i] - exact) / bound);
          }
          boolean rounds = backend.onHost() && dtype.blocks().roundsRows();
          assertEquals(rounds, seen > 10, dtype + ": " + seen);
        }
      }
    }
  }

  /** {@code d q}: 0.5 times -3 and 4, with rows that rounding does not change. */
  @EveryBackend
  void multipliesCodesByTheirScale(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      MemorySegment block = MemorySegment.ofArray(new byte[DType.Q8_0.blockBytes()]);
      block.set(ValueLayout.JAVA_SHORT_UNALIGNED, 0, Float.floatToFloat16(0.5f));
      block.set(ValueLayout.JAVA_BYTE, 2, (byte) -3);
      block.set(ValueLayout.JAVA_BYTE, 3, (byte) 4);
      Tensor room = sample.scope().allocate(DType.UINT8, block.byteSize());
      room.copyFrom(block);
      Tensor b = packed(backend, sample, room.part(0, DType.Q8_0, 1, 32));
      Tensor a = sample.scope().zeros(DType.FLOAT32, 2, 32);
      a.setFloat(0, 127);
      a.setFloat(1, 2);
      a.setFloat(33, 127);
      a.setFloat(34, 100);
      float[] c = product(backend, sample, a, b).toFloats();
      assertEquals(127 * -1.5f + 2 * 2, c[0], 1e-4);
      assertEquals(127 * 2, c[1], 1e-4);
    }
  }

  @EveryBackend
  void expertsMultiplyTheirGroupsAsAGemmDoes(Backend backend) {
    for (DType dtype : BLOCKS) {
      try (Sample sample = new Sample(backend, 3)) {
        Tensor weights = packed(backend, sample, random(sample, dtype, 4, 3, 70, 256));
        Tensor x = sample.normal(9, 256);
        Tensor offsets = sample.scope().allocate(DType.INT32, 4).set(0, 4, 4, 9);
        Tensor y = sample.unset(9, 35);
        GemmKernels.Epilogue swiglu = GemmKernels.Epilogue.of(Activation.SWIGLU);
        backend.expertForward(x, offsets, weights, y, swiglu);
        for (int[] group : new int[][] {{0, 0, 4}, {2, 4, 9}}) {
          Tensor some = sample.unset(group[2] - group[1], 35);
          Tensor one = backend.packedMatrix(weights, group[0]);
          backend.gemm(false, true, false, x.rows(group[1], group[2]), one, some, swiglu);
          assertSameBits(y.rows(group[1], group[2]), some);
        }
      }
    }
  }

  /** Two of one memory, one of each format, exact ones, and floats. */
  @EveryBackend
  void expertsOfSeveralFormatsHaveTheBitsOfEachAlone(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      List<Tensor> alone = new ArrayList<>(); // stacks of one matrix
      Tensor two = packed(backend, sample, random(sample, DType.Q4_0, 1, 2, 70, 256));
      alone.add(backend.packedMatrices(two, 0, 1));
      alone.add(backend.packedMatrices(two, 1, 2));
      BLOCKS.forEach(it -> alone.add(packed(backend, sample, random(sample, it, 2, 1, 70, 256))));
      alone.add(packed(backend, sample, random(sample, DType.Q8_0, 5, 1, 70, 256)).asExact());
      alone.add(packed(backend, sample, sample.normal(1, 70, 256)));
      int experts = alone.size();
      Tensor weights =
          sample.scope().stack(alone.stream().map(it -> backend.packedMatrix(it, 0)).toList());
      assertEquals(alone.stream().mapToLong(Tensor::bytes).sum(), weights.bytes());
      assertThrows(IllegalArgumentException.class, () -> weights.packedPart(0, 1, 1, 1));
      assertThrows(IllegalArgumentException.class, weights::asExact);
      Tensor blocks = random(sample, DType.Q4_0, 6, experts, 70, 256);
      assertRefused("packed", () -> backend.pack(blocks, weights));
      int[] starts = IntStream.rangeClosed(0, experts).map(e -> e * (e + 1) / 4).toArray();
      int rows = starts[experts];
      Tensor x = sample.normal(rows, 256);
      Tensor bias = sample.normal(experts, 70);
      Tensor y = sample.unset(rows, 35);
      backend.expertForward(x, sample.integers(starts), weights, y, swiglu(bias));
      for (int e = 0; e < experts; e++) {
        int count = starts[e + 1] - starts[e];
        Tensor some = sample.unset(count, 35);
        backend.expertForward(
            x.rows(starts[e], starts[e + 1]),
            sample.integers(new int[] {0, count}),
            alone.get(e),
            some,
            swiglu(bias.rows(e, e + 1)));
        assertSameBits(y.rows(starts[e], starts[e + 1]), some);
      }
    }
  }

  /** No row is rounded: the gradient of a frozen layer's input is one of its numbers. */
  @EveryBackend
  void gradientsOfInputsAreProductsByTheNumbers(Backend backend) {
    for (DType dtype : BLOCKS) {
      try (Sample sample = new Sample(backend, 3)) {
        Tensor blocks = random(sample, dtype, 4, 3, 33, 256);
        Tensor weights = packed(backend, sample, blocks);
        float[] numbers = new float[3 * 33 * 256];
        dtype.blocks().decode(HostView.elements(blocks), MemorySegment.ofArray(numbers));
        Tensor decoded = sample.floats(numbers, 3, 33, 256);
        Tensor dy = sample.normal(DType.BFLOAT16, 9, 33);
        Tensor offsets = sample.integers(new int[] {0, 4, 4, 9});
        Tensor dx = sample.unset(9, 256);
        Tensor expected = sample.unset(9, 256);
        backend.expertBackwardInput(dy, offsets, weights, dx);
        backend.expertBackwardInput(dy, offsets, decoded, expected);
        assertSameBits(expected, dx);
        Tensor some = sample.unset(5, 256);
        Tensor last = backend.packedMatrix(weights, 2);
        backend.gemm(false, false, false, dy.rows(4, 9), last, some, GemmKernels.Epilogue.NONE);
        Tensor row = decoded.rows(2, 3).reshape(33, 256);
        backend.gemm(
            false,
            false,
            false,
            dy.rows(4, 9),
            row,
            expected.rows(4, 9),
            GemmKernels.Epilogue.NONE);
        assertSameBits(expected.rows(4, 9), some);
      }
    }
  }

  private static GemmKernels.Epilogue swiglu(Tensor bias) {
    return new GemmKernels.Epilogue(Activation.SWIGLU, bias, null);
  }

  @EveryBackend
  void partsPackedOneByOneAreTheWhole(Backend backend) {
    for (DType dtype : BLOCKS) {
      try (Sample sample = new Sample(backend, 1)) {
        Tensor blocks = random(sample, dtype, 5, 150, 512);
        Tensor whole = packed(backend, sample, blocks);
        Tensor parts = sample.scope().allocatePacked(dtype, whole.bytes(), 150, 512);
        for (int from = 0; from < 150; from += GemmKernels.PACKED_ROWS) {
          int to = Math.min(150, from + GemmKernels.PACKED_ROWS);
          backend.pack(blocks.rows(from, to), backend.packedRows(parts, from, to));
        }
        assertEquals(-1, HostView.elements(whole).mismatch(HostView.elements(parts)), "" + dtype);
      }
    }
  }

  @EveryBackend
  void aRowWithANumberThatIsNotFiniteGivesNaN(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor b = packed(backend, sample, random(sample, DType.Q4_0, 6, 5, 64));
      Tensor a = sample.normal(2, 64);
      a.setFloat(40, Float.POSITIVE_INFINITY);
      float[] c = product(backend, sample, a, b).toFloats();
      for (int i = 0; i < c.length; i++) {
        assertEquals(i >= 5, Float.isFinite(c[i]), "at " + i);
      }
    }
  }

  @EveryBackend
  void refusesBlocksWhereTheyCannotBe(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor blocks = random(sample, DType.Q8_0, 1, 3, 64);
      Tensor packed = packed(backend, sample, blocks);
      Tensor a = sample.normal(2, 64);
      Tensor c = sample.unset(2, 3);
      assertRefused("expected it packed", () -> product(backend, sample, a, blocks));
      assertRefused("float32 or bfloat16", () -> backend.cast(blocks, sample.unset(3, 64)));
      assertRefused("blocks of 256", () -> backend.packedBytes(DType.Q4_K, 3, 64));
      assertRefused("expected Q8_0", () -> backend.pack(sample.normal(3, 64), packed));
      assertRefused(
          "a is",
          () -> backend.gemm(false, true, false, blocks, packed, c, GemmKernels.Epilogue.NONE));
      Tensor offsets = sample.scope().allocate(DType.INT32, 2).set(0, 2);
      assertRefused(
          "expected it packed",
          () ->
              backend.expertBackwardInput(
                  sample.normal(2, 3), offsets, blocks.reshape(1, 3, 64), a));
      assertRefused(
          "packed b that is not transposed",
          () ->
              backend.gemm(
                  false,
                  false,
                  false,
                  sample.normal(2, 3),
                  packed,
                  a,
                  GemmKernels.Epilogue.of(Activation.RELU)));
      assertTrue(
          assertThrows(
                  IllegalArgumentException.class,
                  () -> blocks.reshape(6, 32).rows(0, 1).part(0, DType.Q8_0, 1, 31))
              .getMessage()
              .contains("whole blocks"));
    }
  }
}
