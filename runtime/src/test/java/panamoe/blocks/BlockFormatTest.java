package panamoe.blocks;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.tensor.DType;

/** Formats against an independent decoder; {@code panamoe conformance} has ggml's bits. */
class BlockFormatTest {
  private static final int BLOCKS = 200;

  static Stream<DType> blocks() {
    return Arrays.stream(DType.values()).filter(DType::isBlocks);
  }

  /** Any bytes are a valid block; only the last operation rounds, to float32. */
  @ParameterizedTest
  @MethodSource("blocks")
  void randomBlocksAreDecodedToTheirNumbers(DType dtype) {
    byte[] bytes = new byte[BLOCKS * dtype.blockBytes()];
    new Random(dtype.code()).nextBytes(bytes);
    float[] floats = new float[BLOCKS * dtype.blockElements()];
    dtype.blocks().decode(MemorySegment.ofArray(bytes), MemorySegment.ofArray(floats));
    double[] numbers = new double[floats.length];
    for (int i = 0; i < BLOCKS; i++) {
      MemorySegment block =
          MemorySegment.ofArray(bytes).asSlice(i * dtype.blockBytes(), dtype.blockBytes());
      BlockNumbers.decode(dtype, block, numbers, i * dtype.blockElements());
    }
    for (int i = 0; i < floats.length; i++) {
      assertEquals((float) numbers[i], floats[i], 0f, dtype + " at " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void namesAndSizesAreTheDtypes(DType dtype) {
    assertEquals(dtype.name(), dtype.blocks().name());
    assertEquals(dtype.name(), dtype.safetensorsName());
    assertEquals(dtype.blockElements(), dtype.blocks().elements());
    assertEquals(dtype.blockBytes(), dtype.blocks().bytes());
  }
}
