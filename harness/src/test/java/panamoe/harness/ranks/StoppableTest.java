package panamoe.harness.ranks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class StoppableTest {
  @Test
  void anInterruptIsAWishAndNoInterrupt() throws Exception {
    Thread caller = Thread.currentThread();
    boolean interrupted =
        Stoppable.run(
            "work",
            stop -> {
              caller.interrupt();
              while (!stop.getAsBoolean()) {
                Thread.onSpinWait();
              }
              return Thread.currentThread().isInterrupted();
            });
    assertFalse(interrupted);
  }

  @Test
  void throwsWhatTheWorkThrew() {
    IOException thrown = new IOException("the disk is full");
    assertEquals(
        thrown,
        assertThrows(
            IOException.class,
            () ->
                Stoppable.run(
                    "work",
                    _ -> {
                      throw thrown;
                    })));
    assertThrows(
        OutOfMemoryError.class,
        () ->
            Stoppable.run(
                "work",
                _ -> {
                  throw new OutOfMemoryError();
                }));
  }
}
