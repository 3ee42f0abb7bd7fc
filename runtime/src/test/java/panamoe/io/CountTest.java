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
}
