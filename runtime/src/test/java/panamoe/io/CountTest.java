package panamoe.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class CountTest {
  @Test
  void oneAloneHasNoS() {
    assertEquals("0 tokens", Count.of(0, "token"));
    assertEquals("1 token", Count.of(1, "token"));
    assertEquals("2,048 tokens", Count.of(2048, "token"));
  }

  @Test
  void bytesAreInTheLargestUnitThatTheyFill() {
    assertEquals("0.0 KiB", Count.bytes(0));
    assertEquals("0.5 KiB", Count.bytes(512));
    assertEquals("1,023.0 KiB", Count.bytes(1023 << 10));
    assertEquals("1.5 MiB", Count.bytes(1.5 * (1 << 20)));
    assertEquals("2,048.0 GiB", Count.bytes(1L << 41));
  }
}
