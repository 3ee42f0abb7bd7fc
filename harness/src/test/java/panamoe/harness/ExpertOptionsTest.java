package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ExpertOptionsTest {
  @ParameterizedTest
  @CsvSource({
    "500k, 512000",
    "30mb, 31457280",
    "512M, 536870912",
    "1.5GiB, 1610612736",
    "2KB, 2048"
  })
  void sizesHaveBinaryUnits(String text, long bytes) {
    assertEquals(bytes, new ExpertOptions.Size().convert(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"7x", "0g", "512", "1i", "g", "-1g"})
  void otherSizesAreRefused(String text) {
    assertThrows(TypeConversionException.class, () -> new ExpertOptions.Size().convert(text));
  }
}
