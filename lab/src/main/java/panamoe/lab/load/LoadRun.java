package panamoe.lab.load;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;

/** Sends requests to a server for some time and collects the results. */
final class LoadRun {
  private final LoadClient client;
  private final RequestMix mix;
  private final Random random;

  LoadRun(LoadClient client, RequestMix mix, long seed) {
    this.client = client;
    this.mix = mix;
    this.random = new Random(seed);
  }

  /**
   * Closed loop: each of {@code users} sends its next request after the last response. Measures the
   * server's capacity.
   */
  List<RequestResult> closed(int users, double seconds) throws InterruptedException {
    long end = System.nanoTime() + (long) (seconds * 1e9);
    return together(
        users,
        (user, into) -> {
          while (System.nanoTime() < end) {
            RequestMix.Asked asked;
            synchronized (mix) {
              asked = mix.next();
            }
            into.add(client.ask(asked, System.nanoTime()));
          }
        });
  }

  /**
   * Open loop: requests arrive as a Poisson process, independent of the server, like from
   * independent users.
   *
   * @param rate requests per second
   */
  List<RequestResult> open(double rate, double seconds) throws InterruptedException {
    List<Long> offsets = new ArrayList<>();
    List<RequestMix.Asked> asked = new ArrayList<>();
    for (double at = wait(rate); at < seconds; at += wait(rate)) {
      offsets.add((long) (at * 1e9));
      asked.add(mix.next());
    }
    long start = System.nanoTime();
    return together(
        offsets.size(),
        (number, into) -> {
          long due = start + offsets.get(number);
          for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
            LockSupport.parkNanos(left);
          }
          into.add(client.ask(asked.get(number), due));
        });
  }

  /** Seconds until the next arrival of a Poisson process. */
  private double wait(double rate) {
    return -Math.log(1 - random.nextDouble()) / rate;
  }

  private interface User {
    void run(int number, List<RequestResult> into) throws InterruptedException;
  }

  private static List<RequestResult> together(int users, User user) throws InterruptedException {
    List<RequestResult> all = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<List<RequestResult>>> running = new ArrayList<>();
      for (int i = 0; i < users; i++) {
        int number = i;
        running.add(
            threads.submit(
                () -> {
                  List<RequestResult> mine = new ArrayList<>();
                  user.run(number, mine);
                  return mine;
                }));
      }
      try {
        for (Future<List<RequestResult>> next : running) {
          all.addAll(next.get());
        }
      } catch (InterruptedException e) {
        threads.shutdownNow();
        throw e;
      } catch (ExecutionException e) {
        throw new IllegalStateException(e.getCause());
      }
    }
    return all;
  }
}
