package panamoe.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ByteSizeTest {
  @ParameterizedTest
  @CsvSource({
    "500k, 512000",
    "30mb, 30000000",
    "512M, 536870912",
    "1.5GiB, 1610612736",
    "12GB, 12000000000",
    "2KB, 2000"
  })
  void unitsAreBinaryOrDecimal(String text, long bytes) {
    assertEquals(bytes, ByteSize.parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"7x", "0g", "512", "1i", "g", "-1g", "4.5bpw"})
  void otherSizesAreRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> ByteSize.parse(text));
  }
}
