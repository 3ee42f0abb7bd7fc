package panamoe.comm.tcp;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
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

/** Ranks of a {@link TcpWorld} in this process, one thread per rank. */
final class TcpRanks {
  static final String SECRET = "nobody knows this";

  private TcpRanks() {}

  static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  static TcpRank rank(int rank, int size, int port) {
    return new TcpRank(rank, size, "localhost", port, SECRET);
  }

  /**
   * Runs the body on each rank.
   *
   * @return each rank's exception, by rank; null if it threw none
   */
  static List<Throwable> run(int size, Duration timeout, CommunicatorContract.Body body) {
    int port = freePort();
    List<Future<?>> ranks = new ArrayList<>();
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      for (int rank = 0; rank < size; rank++) {
        TcpRank self = rank(rank, size, port);
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
