package panamoe.lab.measurement;

import java.time.Duration;
import java.util.Arrays;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.Communicator;
import panamoe.comm.LauncherVariables;
import panamoe.comm.mpi.MpiWorld;
import panamoe.comm.tcp.TcpRank;
import panamoe.comm.tcp.TcpWorld;
import panamoe.io.Words;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Times our all-to-all over MPI or TCP like {@code lab/peers/alltoallv.c} times MPI_Alltoallv;
 * {@code lab/alltoall} alternates both. Arguments: block sizes in bytes per rank, including the
 * block to itself. Rank 0 prints the fastest and the median batch of each size in microseconds per
 * call.
 */
public final class AllToAllTimes {
  private static final int BATCHES = 15;
  private static final long BATCH_NANOS = 30_000_000;
  // Untimed warm-up rounds over all sizes, enough for the JIT compiler.
  private static final int WARM_UP_ROUNDS = 3;

  private AllToAllTimes() {}

  public static void main(String[] args) {
    long[] blocks = Arrays.stream(args).mapToLong(Long::parseLong).toArray();
    try (Communicator world = open(Duration.ofSeconds(10));
        Backend backend = Backends.open("reference", 1)) {
      for (int round = 0; round <= WARM_UP_ROUNDS; round++) {
        for (long block : blocks) {
          double[] times = time(world, backend, block);
          if (world.rank() == 0 && round == WARM_UP_ROUNDS) {
            System.out.println(Words.of("java %d %.3f %.3f", block, times[0], times[BATCHES / 2]));
          }
        }
      }
    }
    // After the try block, so that the run closes; exit does not wait for the JVM's other threads.
    System.exit(0);
  }

  private static Communicator open(Duration timeout) {
    return LauncherVariables.byTcp()
        ? TcpWorld.open(TcpRank.of(System.getenv()), timeout, System.err::println)
        : MpiWorld.open(timeout);
  }

  /** Microseconds per call of each batch, ascending. */
  private static double[] time(Communicator world, Backend backend, long block) {
    int size = world.size();
    long[] rows = new long[size];
    Arrays.fill(rows, block);
    double[] times = new double[BATCHES];
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor send = scope.zeros(DType.UINT8, size * block);
      Tensor receive = scope.zeros(DType.UINT8, size * block);
      long repeats = 1;
      for (int batch = -2; batch < BATCHES; batch++) {
        world.barrier();
        long start = System.nanoTime();
        for (long i = 0; i < repeats; i++) {
          world.allToAll(send, rows, receive, rows);
        }
        long each = Math.max(1, (System.nanoTime() - start) / repeats);
        if (batch >= 0) {
          times[batch] = each / 1e3;
        } else {
          repeats = world.allGather(Math.max(1, BATCH_NANOS / each))[0];
        }
      }
    }
    Arrays.sort(times);
    return times;
  }
}
