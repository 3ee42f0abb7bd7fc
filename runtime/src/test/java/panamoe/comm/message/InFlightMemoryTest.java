package panamoe.comm.message;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import panamoe.comm.CommunicationException;

class InFlightMemoryTest {
  @Test
  void isFreedWhenTheCallWentWell() {
    MemorySegment lent = InFlightMemory.lend(true, memory -> memory.allocate(8));
    assertFalse(lent.scope().isAlive());
  }

  /**
   * {@link InFlightMemory}; MPI may write into it after a failure, the transport of this test
   * always does.
   */
  @Test
  void staysWhenTheCallFailed() {
    AtomicReference<MemorySegment> lent = new AtomicReference<>();
    assertThrows(
        CommunicationException.class,
        () ->
            InFlightMemory.lend(
                true,
                memory -> {
                  lent.set(memory.allocate(8));
                  throw new CommunicationException("rank 1 is gone");
                }));
    assertTrue(lent.get().scope().isAlive());
    lent.get().fill((byte) 1);
  }
}
