package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.Generation.End;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenConstraint;

@Timeout(60)
class EngineThreadTest {
  private static final EngineConfig CONFIG = new EngineConfig(40, 4, 4, 16, 0.25, true, 0);

  private final AtomicInteger steps = new AtomicInteger();

  private EngineThread thread(Runnable beforeStep) {
    return new EngineThread(
        HashEngine.of(CONFIG, 64, beforeStep), _ -> steps.incrementAndGet(), () -> {});
  }

  private static GenerationRequest request(int tokens) {
    return GenerationRequest.of(
        HashEngine.TOKENIZER.encode("abc"),
        SamplingConfig.GREEDY,
        new StopConfig(tokens, 0, List.of(), Set.of(), true, false));
  }

  private static final class Future implements GenerationListener {
    final CompletableFuture<Generation> end = new CompletableFuture<>();

    @Override
    public void ended(Generation generation) {
      end.complete(generation);
    }

    @Override
    public void failed(RuntimeException failure) {
      end.completeExceptionally(failure);
    }

    Generation get() throws Exception {
      return end.get(30, TimeUnit.SECONDS);
    }
  }

  private static Future submit(EngineThread thread, int tokens) {
    Future future = new Future();
    thread.submit(request(tokens), future);
    return future;
  }

  @Test
  void sleepsWhileThereIsNothingToWriteAndWakes() throws Exception {
    try (EngineThread thread = thread(() -> {})) {
      assertEquals(3, submit(thread, 3).get().tokens());
      Thread.sleep(200);
      int before = steps.get();
      Thread.sleep(200);
      assertTrue(steps.get() <= before + 1, "it computes nothing over and over");
      assertEquals(5, submit(thread, 5).get().tokens());
      Thread.sleep(50);
      assertEquals(0, thread.status().usage());
      assertEquals(0, thread.status().running());
    }
  }

  @Test
  void aListenerThatThrowsEndsItsTextAlone() throws Exception {
    try (EngineThread thread = thread(() -> {})) {
      thread.submit(
          request(9),
          new GenerationListener() {
            @Override
            public void wrote(String piece) {
              throw new IllegalStateException("nobody listens");
            }
          });
      assertEquals(7, submit(thread, 7).get().tokens());
      assertTrue(thread.alive());
    }
  }

  @Test
  void anErrorOfTheEngineEndsAll() throws Exception {
    AtomicInteger before = new AtomicInteger();
    AssertionError error = new AssertionError("broken");
    EngineThread thread =
        thread(
            () -> {
              if (before.incrementAndGet() == 3) {
                throw error;
              }
            });
    Future future = submit(thread, 9);
    assertEquals(End.CANCELLED, future.get().end());
    thread.close();
    assertSame(error, thread.failure());
    assertFalse(thread.alive());
    assertThrows(IllegalStateException.class, () -> submit(thread, 1));
  }

  @Test
  void closingCancelsWhatRuns() throws Exception {
    EngineThread thread = thread(EngineThreadTest::pause);
    Future future = submit(thread, 60);
    thread.close();
    assertEquals(End.CANCELLED, future.get().end());
    assertThrows(IllegalStateException.class, () -> submit(thread, 1));
    assertNotNull(thread.status());
  }

  /** While asleep, during generation, and at the end. */
  @Test
  void tellsRoutesAtAnyTime() throws Exception {
    EngineThread thread = thread(EngineThreadTest::pause);
    assertEquals(0, rows(thread));
    Future future = submit(thread, 20);
    long between = rows(thread);
    future.get();
    assertTrue(between < 3 + 19, between + " rows");
    assertEquals(3 + 19, rows(thread));
    thread.close();
    assertThrows(IllegalStateException.class, thread::routeStatistics);
  }

  private static long rows(EngineThread thread) throws Exception {
    return thread.routeStatistics().get(30, TimeUnit.SECONDS).layers().getLast().routes();
  }

  private static void pause() {
    try {
      Thread.sleep(10);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aFailingConstraintFailsItsTextAlone() throws Exception {
    try (EngineThread thread = thread(() -> {})) {
      Future constrained = new Future();
      GenerationRequest free = request(5);
      thread.submit(
          new GenerationRequest(
              free.prompt(),
              free.sampling(),
              free.stop(),
              -1,
              () ->
                  new TokenConstraint() {
                    @Override
                    public BitSet allowed() {
                      throw new IllegalArgumentException("nothing is allowed");
                    }

                    @Override
                    public void accept(int token) {}
                  },
              free.terms()),
          constrained);
      Future other = submit(thread, 5);
      assertEquals(5, other.get().tokens());
      assertThrows(Exception.class, constrained::get);
      assertTrue(thread.alive());
    }
  }
}
