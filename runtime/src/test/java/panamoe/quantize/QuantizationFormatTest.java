package panamoe.quantize;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.blocks.BlockFormat;

class QuantizationFormatTest {
  @ParameterizedTest
  @MethodSource("panamoe.quantize.QuantizationFormat#all")
  void numbersAreRoundedToEachFormatThatIsOffered(QuantizationFormat format) {
    if (!format.equals(QuantizationFormat.KEEP)) {
      BlockFormat blocks = format.dtype().blocks();
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, blocks.elements());
        MemorySegment rounded = arena.allocate(blocks.bytes());
        assertDoesNotThrow(() -> blocks.search(floats, null, blocks.elements(), rounded));
      }
    }
  }
}
