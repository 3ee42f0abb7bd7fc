package panamoe.quantize;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.blocks.BlockFormat;
import panamoe.tensor.DType;

class QuantizationFormatTest {
  @ParameterizedTest
  @CsvSource({
    "int4, Q6_K, Q8_0",
    "iq4_xs, Q6_K, Q8_0",
    "q6_k, Q6_K, Q8_0",
    "int8, Q8_0, Q8_0",
    "q8_128, Q8_128, Q8_64"
  })
  void embeddingAndHeadHaveSixBitsOrMore(String format, DType whole, DType smaller) {
    QuantizationFormat raised = QuantizationFormat.named(format).ofVocabulary();
    assertEquals(Optional.of(whole), raised.of(256));
    assertEquals(Optional.of(smaller), raised.of(64));
    assertEquals(Optional.empty(), raised.of(48));
    assertEquals(QuantizationFormat.KEEP, QuantizationFormat.KEEP.ofVocabulary());
  }

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
