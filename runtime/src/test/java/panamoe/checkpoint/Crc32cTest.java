package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

class Crc32cTest {
  private final Random random = new Random(3);

  /** The check value of CRC-32C. */
  @Test
  void isTheStandardOne() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment digits = arena.allocateFrom("123456789").asSlice(0, 9);
      assertEquals("e3069283", Crc32c.hex(Crc32c.of(digits)));
    }
  }

  @Test
  void piecesJoinToTheWhole() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(70_000);
      for (long i = 0; i < bytes.byteSize(); i++) {
        bytes.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
      }
      for (int sample = 0; sample < 50; sample++) {
        long size = random.nextLong(1 + bytes.byteSize() >> random.nextInt(16));
        int joined = Crc32c.of(bytes.asSlice(0, 0));
        for (long at = 0; at < size; ) {
          long length = 1 + random.nextLong(size - at);
          joined = Crc32c.join(joined, Crc32c.of(bytes.asSlice(at, length)), length);
          at += length;
        }
        assertEquals(Crc32c.of(bytes.asSlice(0, size)), joined, "of " + size + " bytes");
      }
    }
  }

  /** Appends more zeros than memory could hold. */
  @Test
  void joinsOverTerabytes() {
    int zeros = 0;
    int first = 0x12345678;
    int at = first;
    for (int i = 0; i < 1024; i++) {
      at = Crc32c.join(at, zeros, 1L << 32);
    }
    assertEquals(at, Crc32c.join(first, zeros, 1L << 42));
  }
}
