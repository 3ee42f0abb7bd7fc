package panamoe.harness.serve.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.harness.serve.http.ApiError;

/** Grammars are made on few threads, for as long as their requests wait. */
@Timeout(60)
class GrammarThreadsTest {
  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch end = new CountDownLatch(1);
  private final CountDownLatch interrupted = new CountDownLatch(1);

  /** Blocks until {@link #end}. */
  private String untilTheEnd() {
    begun.countDown();
    try {
      end.await();
    } catch (InterruptedException _) {
      interrupted.countDown();
    }
    return "made";
  }

  @Test
  void aGrammarEndsWithItsRequest() throws Exception {
    GrammarThreads threads = new GrammarThreads(1, 1);
    FutureTask<String> request = new FutureTask<>(() -> threads.make(this::untilTheEnd));
    Thread thread = Thread.ofVirtual().start(request);
    begun.await();
    thread.interrupt();
    interrupted.await();
    thread.join();
    assertEquals(
        InterruptedException.class,
        assertThrows(Exception.class, request::get).getCause().getClass());
  }

  @Test
  void tooManyAreRefused() throws Exception {
    GrammarThreads threads = new GrammarThreads(1, 1);
    FutureTask<String> first = new FutureTask<>(() -> threads.make(this::untilTheEnd));
    FutureTask<String> second = new FutureTask<>(() -> threads.make(() -> "second"));
    Thread.ofVirtual().start(first);
    begun.await();
    waiting(second);
    ApiError refused = assertThrows(ApiError.class, () -> threads.make(() -> "third"));
    assertEquals(429, refused.status());
    assertTrue(refused.headers().containsKey("Retry-After"));
    end.countDown();
    assertEquals("made", first.get());
    assertEquals("second", second.get(10, TimeUnit.SECONDS));
    assertEquals("fourth", threads.make(() -> "fourth"));
  }

  @Test
  void whoLeavesHoldsNoPlace() throws Exception {
    GrammarThreads threads = new GrammarThreads(1, 1);
    FutureTask<String> first = new FutureTask<>(() -> threads.make(this::untilTheEnd));
    Thread.ofVirtual().start(first);
    begun.await();
    Thread leaving = waiting(new FutureTask<>(() -> threads.make(() -> "second")));
    leaving.interrupt();
    leaving.join();
    FutureTask<String> third = new FutureTask<>(() -> threads.make(() -> "third"));
    waiting(third);
    end.countDown();
    assertEquals("made", first.get());
    assertEquals("third", third.get());
  }

  private static Thread waiting(FutureTask<?> request) throws InterruptedException {
    Thread thread = Thread.ofVirtual().start(request);
    while (thread.getState() != Thread.State.WAITING && !request.isDone()) {
      Thread.sleep(1);
    }
    return thread;
  }

  @Test
  void whatAGrammarThrowsIsThrown() {
    IllegalArgumentException refusal = new IllegalArgumentException("no such keyword");
    IllegalArgumentException thrown =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                new GrammarThreads()
                    .make(
                        () -> {
                          throw refusal;
                        }));
    assertEquals(refusal, thrown);
  }
}
