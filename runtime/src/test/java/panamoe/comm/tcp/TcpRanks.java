package panamoe.comm.tcp;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import panamoe.comm.Communicator;
import panamoe.comm.CommunicatorContract;
import panamoe.testkit.FreePort;

/** Ranks of a {@link TcpWorld} in this process, one thread per rank. */
final class TcpRanks {
  static final String SECRET = "nobody knows this";

  private TcpRanks() {}

  static TcpRank rank(int rank, int size, int port) {
    return rank(rank, size, port, false);
  }

  static TcpRank rank(int rank, int size, int port, boolean encrypted) {
    return new TcpRank(rank, size, "localhost", port, SECRET, encrypted);
  }

  /**
   * Runs the body on each rank.
   *
   * @return each rank's exception, by rank; null if it threw none
   */
  static List<Throwable> run(int size, Duration timeout, CommunicatorContract.Body body) {
    return run(size, timeout, false, body);
  }

  static List<Throwable> run(
      int size, Duration timeout, boolean encrypted, CommunicatorContract.Body body) {
    int port = FreePort.find();
    List<Future<?>> ranks = new ArrayList<>();
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      for (int rank = 0; rank < size; rank++) {
        TcpRank self = rank(rank, size, port, encrypted);
        ranks.add(
            threads.submit(
                () -> {
                  try (Communicator world = TcpWorld.open(self, timeout, lost -> {})) {
                    try {
                      body.run(world);
                    } catch (AssertionError | RuntimeException e) {
                      world.abort(e.toString());
                      throw e;
                    }
                  }
                  return null;
                }));
      }
      return ranks.stream().map(TcpRanks::thrown).collect(Collectors.toList());
    }
  }

  private static Throwable thrown(Future<?> rank) {
    try {
      rank.get();
      return null;
    } catch (ExecutionException e) {
      return e.getCause();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
