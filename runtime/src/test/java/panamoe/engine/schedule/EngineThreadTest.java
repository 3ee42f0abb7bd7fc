package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
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
    await(() -> Thread.sleep(10));
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

  /** On a device that others use: it steps in turns alone, and one of them closes it. */
  @Test
  void takesTurns() throws Exception {
    ReentrantLock device = new ReentrantLock();
    EngineThread thread =
        new EngineThread(
            HashEngine.of(CONFIG, 64, () -> assertTrue(device.isHeldByCurrentThread())),
            turn -> {
              device.lock();
              try {
                turn.run();
              } finally {
                device.unlock();
              }
            });
    assertEquals(3, submit(thread, 3).get().tokens());
    device.lock();
    Future held = submit(thread, 60);
    assertFalse(held.end.isDone());
    thread.end();
    assertEquals(End.CANCELLED, held.get().end());
    assertFalse(thread.alive());
    device.unlock();
    assertThrows(IllegalStateException.class, () -> submit(thread, 1));
    thread.close(); // waits for the thread
    assertNull(thread.failure());
  }

  /** Between steps it tells other ranks so, but in a turn, and not after they have ended. */
  @Test
  void isIdleInTurnsAlone() throws Exception {
    ReentrantLock device = new ReentrantLock();
    AtomicInteger turns = new AtomicInteger();
    AtomicInteger wrong = new AtomicInteger();
    AtomicBoolean closed = new AtomicBoolean();
    EngineThread thread =
        new EngineThread(
            HashEngine.of(
                CONFIG,
                64,
                () -> {},
                () -> wrong.addAndGet(device.isHeldByCurrentThread() && !closed.get() ? 0 : 1),
                () -> closed.set(true)),
            turn -> {
              device.lock();
              try {
                turns.incrementAndGet();
                turn.run();
              } finally {
                device.unlock();
              }
            });
    submit(thread, 3).get();
    for (int before = -1; before != turns.get(); Thread.sleep(50)) {
      before = turns.get(); // until it sleeps
    }
    thread.close();
    assertEquals(0, wrong.get());
    assertNull(thread.failure());
  }

  /** The thread, which could take one turn after the other, gives way to who closes it. */
  @Test
  void closingWaitsForOneStep() throws Exception {
    AtomicReference<Thread> driver = new AtomicReference<>();
    CountDownLatch asked = new CountDownLatch(1);
    AtomicInteger begun = new AtomicInteger();
    Thread closer = Thread.currentThread();
    EngineThread thread =
        new EngineThread(
            HashEngine.of(
                CONFIG,
                64,
                () -> {
                  if (begun.incrementAndGet() == 3) {
                    await(asked::await);
                  }
                }),
            turn -> {
              if (Thread.currentThread() == closer) {
                asked.countDown();
                await(driver.get()::join);
              } else {
                driver.set(Thread.currentThread());
              }
              turn.run();
            });
    Future future = submit(thread, 60);
    while (begun.get() < 3) {
      Thread.onSpinWait();
    }
    thread.close();
    assertEquals(End.CANCELLED, future.get().end());
    assertEquals(3, begun.get());
  }

  private interface Wait {
    void forIt() throws InterruptedException;
  }

  private static void await(Wait wait) {
    try {
      wait.forIt();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
