package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Blocks are decoded to the bits that ggml decodes them to. */
class BlockFormatsTest {
  private static final Path RECORDED = Path.of("src/test/resources/golden/gguf/quant");

  static Stream<StoredType> recorded() {
    return Arrays.stream(StoredType.values()).filter(type -> Files.exists(file(type)));
  }

  private static Path file(StoredType type) {
    return RECORDED.resolve(type.name().toLowerCase(Locale.ROOT) + ".safetensors");
  }

  @Test
  void everyTypeWithBlocksIsRecorded() {
    List<StoredType> blocks =
        Arrays.stream(StoredType.values()).filter(type -> type.elements() > 1).toList();
    assertEquals(13, blocks.size());
    assertEquals(blocks, recorded().filter(type -> type.elements() > 1).toList());
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void bitsAreThoseOfGgml(StoredType type) {
    try (SafetensorsReader file = SafetensorsReader.open(file(type))) {
      assertDecoded(type, file, "blocks", "y");
      assertDecoded(type, file, "random_blocks", "random_y");
    }
  }

  private static void assertDecoded(
      StoredType type, SafetensorsReader file, String blocks, String expected) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = arena.allocate(file.tensor(blocks).bytes());
      file.read(file.tensor(blocks), 0, from);
      MemorySegment to = arena.allocate(file.tensor(expected).bytes(), Float.BYTES);
      type.decode(from, to);
      MemorySegment floats = arena.allocate(to.byteSize(), Float.BYTES);
      file.read(file.tensor(expected), 0, floats);
      assertArrayEquals(
          floats.toArray(ValueLayout.JAVA_INT), to.toArray(ValueLayout.JAVA_INT), blocks);
    }
  }

  @Test
  void numbersWithoutBlocks() {
    assertArrayEquals(
        new float[] {1.5f, Float.NEGATIVE_INFINITY},
        decoded(StoredType.F64, MemorySegment.ofArray(new double[] {1.5, -1e300})));
    assertArrayEquals(
        new float[] {-0.0f, 3e38f},
        decoded(StoredType.F32, MemorySegment.ofArray(new float[] {-0.0f, 3e38f})));
  }

  private static float[] decoded(StoredType type, MemorySegment from) {
    float[] to = new float[(int) from.byteSize() / type.bytes() * type.elements()];
    type.decode(from, MemorySegment.ofArray(to));
    return to;
  }

  @Test
  void partsOfBlocksAndIntegersAreRefused() {
    assertRefused(StoredType.Q8_0, 33, 32);
    assertRefused(StoredType.Q8_0, 68, 32);
    assertRefused(StoredType.I32, 8, 2);
  }

  private static void assertRefused(StoredType type, int bytes, int floats) {
    MemorySegment from = MemorySegment.ofArray(new byte[bytes]);
    MemorySegment to = MemorySegment.ofArray(new float[floats]);
    assertThrows(IllegalArgumentException.class, () -> type.decode(from, to));
  }
}
