package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** A container's limit includes memory that tensors cannot have. */
class HostMemoryTest {
  private static final long MIB = 1 << 20;

  /** A container of 1 GiB, of which a quarter is Java's heap. */
  @Test
  void javaMayStillTakeAPartOfWhatAContainerLeaves() {
    long room = (1024 - 55) * MIB;
    long heap = (256 - 16) * MIB;
    assertEquals((969 - 240 - 96) * MIB, HostMemory.available(20_000 * MIB, room, heap));
    assertEquals(500 * MIB, HostMemory.available(500 * MIB, room, heap));
    assertEquals(0, HostMemory.available(20_000 * MIB, 300 * MIB, heap));
  }

  @Test
  void withoutALimitAllThatIsFreeIsAvailable() {
    assertEquals(20_000 * MIB, HostMemory.available(20_000 * MIB, Long.MAX_VALUE, 6_000 * MIB));
  }
}
