package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ShortNumberTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "0 | 0",
        "8 | 8",
        "9876 | 9,876",
        "76800 | 76.8k",
        "999999 | 1,000k",
        "16777216 | 16.8M",
        "175e9 | 175B",
        "1.2e12 | 1.2T",
        "2.5e15 | 2,500T",
        "12.34 | 12.3",
        "0.5 | 0.50",
        "0.00034 | 3.4e-4",
        "-0.00034 | -3.4e-4"
      })
  void aNumberHasFewDigits(double value, String expected) {
    assertEquals(expected, ShortNumber.of(value));
  }
}
