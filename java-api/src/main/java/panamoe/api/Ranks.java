package panamoe.api;

import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.function.Supplier;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.comm.mpi.MpiWorld;
import panamoe.comm.tcp.TcpWorld;
import panamoe.parallel.Overlap;
import panamoe.parallel.Topology;

/**
 * Ranks that hold layers and models together: threads of this process, processes started by mpirun
 * or srun, or any processes that meet by TCP. Each rank runs the same program on its own device,
 * and makes the same calls in the same order on what the ranks hold together; a call returns when
 * all ranks have made it. If a rank fails, dies or disagrees, every rank's call throws a {@link
 * PanamoeException.RanksFailed} that names it.
 *
 * <p>A rank's object is used only by the rank's thread, with one {@link Device} in this machine's
 * memory, "cpu" or "reference".
 *
 * {@snippet file="panamoe/api/RanksExample.java" region="ranks"}
 */
public final class Ranks {
  static {
    RequiredJava.check();
  }

  // Milliseconds whose nanoseconds fit into 64 bits, because waits use both units.
  private static final Duration SHORTEST = Duration.ofMillis(1);
  private static final Duration LONGEST = Duration.ofDays(365);

  /**
   * A rank's program.
   *
   * @param <T> type of its result
   */
  @FunctionalInterface
  public interface Program<T> {
    /**
     * Runs one rank. An exception ends all ranks.
     *
     * @param ranks seen by this rank
     */
    T run(Ranks ranks) throws Exception;
  }

  private final panamoe.parallel.Ranks inner;
  private Device device; // null until something is created on it

  private Ranks(Topology topology, Communicator world, Strategy strategy) {
    this.inner = new panamoe.parallel.Ranks(topology, world, strategy, Overlap.NONE);
  }

  /**
   * Runs ranks as threads of this process, and waits for them.
   *
   * @param patience how long a rank waits for another one before all fail: more than 0, rounded to
   *     1 millisecond to a year
   * @return the ranks' results, by rank
   * @throws PanamoeException.BadArgument if there are no ranks, or their number does not divide
   * @throws PanamoeException.RanksFailed if a rank failed; the cause is its exception
   */
  public static <T> List<T> onThreads(
      int ranks, Degrees degrees, Duration patience, Program<T> program) {
    return Failures.translating(
        () -> {
          ThreadWorld threads = ThreadWorld.of(ranks).timeout(positive(patience));
          Topology topology = Argument.notNull("degrees", degrees).topology(ranks);
          Argument.notNull("program", program);
          return threads.run(world -> play(new Ranks(topology, world, Strategy.FLAT), program));
        });
  }

  /**
   * Runs this process's rank of those that mpirun or srun started, or alone without them. Call it
   * once in a process that has not started MPI. After a failure, end the process with a non-zero
   * status.
   *
   * @param patience how long a rank waits for another one before all fail: more than 0, rounded to
   *     1 millisecond to a year
   * @return this rank's result
   * @throws PanamoeException.BadArgument if the number of ranks does not divide
   * @throws PanamoeException.RanksFailed if Open MPI 5 is not installed, or another rank failed
   * @throws Exception of the program; the other ranks fail too
   */
  public static <T> T overMpi(Degrees degrees, Duration patience, Program<T> program)
      throws Exception {
    return inProcess(degrees, program, () -> MpiWorld.open(positive(patience)));
  }

  /**
   * Runs this process's rank of processes that were started in any way, such as the workers of
   * another framework. They meet by TCP, in plain Java. A process may become a rank again, also
   * after a failure.
   *
   * @param patience how long a rank waits for another one before all fail: more than 0, rounded to
   *     1 millisecond to a year; at the start, six times as long
   * @return this rank's result
   * @throws PanamoeException.BadArgument if the number of ranks does not divide
   * @throws PanamoeException.RanksFailed if other ranks did not come, or one failed
   * @throws Exception of the program; the other ranks fail too
   */
  public static <T> T overTcp(TcpRank self, Degrees degrees, Duration patience, Program<T> program)
      throws Exception {
    return inProcess(
        degrees,
        program,
        () -> {
          degrees.topology(Argument.notNull("self", self).size()); // refused before any wait
          return TcpWorld.open(self.inner(), positive(patience), lost -> {});
        });
  }

  private static <T> T inProcess(Degrees degrees, Program<T> program, Supplier<Communicator> meet)
      throws Exception {
    Communicator world =
        Failures.translating(
            () -> {
              Argument.notNull("degrees", degrees);
              Argument.notNull("program", program);
              return meet.get();
            });
    try {
      Topology topology = Failures.translating(() -> degrees.topology(world.size()));
      T result =
          play(Failures.translating(() -> new Ranks(topology, world, Strategy.AUTO)), program);
      Failures.run(
          () -> {
            world.close();
            if (world.failure() != null) { // before this rank's end
              throw new CommunicationException(world.failure());
            }
          });
      return result;
    } catch (Throwable e) {
      world.abort(e.getMessage() == null ? e.toString() : e.getMessage()); // not after a failure
      world.close(); // after a failure it does not wait
      throw e;
    }
  }

  private static <T> T play(Ranks ranks, Program<T> program) throws Exception {
    T result = program.run(ranks);
    // After success only: after a failure the other ranks would not come.
    Failures.run(() -> ranks.inner.close());
    return result;
  }

  private static Duration positive(Duration patience) {
    if (!Argument.notNull("patience", patience).isPositive()) {
      throw new IllegalArgumentException("patience is " + patience + ", expected more than 0");
    }
    return Collections.min(List.of(LONGEST, Collections.max(List.of(SHORTEST, patience))));
  }

  /** This rank's number, 0 to {@code size() - 1}. */
  public int rank() {
    return inner.world().rank();
  }

  /** The number of ranks. */
  public int size() {
    return inner.world().size();
  }

  /** The index of this rank's tokens: ranks with one index get the same tokens. */
  public int dataRank() {
    return inner.data().rank();
  }

  /** The number of ranks, or of groups of ranks, with different tokens. */
  public int dataSize() {
    return inner.data().size();
  }

  /**
   * The sum of a number over all ranks, bit-identical on each.
   *
   * @throws PanamoeException.RanksFailed if a rank failed
   */
  public double sum(double value) {
    return Failures.translating(() -> inner.world().allReduce(value));
  }

  /**
   * Waits for all ranks.
   *
   * @throws PanamoeException.RanksFailed if a rank failed
   */
  public void barrier() {
    Failures.run(() -> inner.world().barrier());
  }

  /** The ranks for objects on a device. Called inside a call of the device. */
  panamoe.parallel.Ranks on(Device given) {
    if (!given.backend().onHost()) {
      throw new IllegalArgumentException(
          "ranks compute on devices in this machine's memory, and " + given + " is none");
    }
    if (device == null) {
      device = given;
      given.lifetime().begin("the ranks' memory", inner::freeBuffers);
    }
    if (device != given) {
      throw new IllegalArgumentException(
          "this rank has layers or models on another device; a rank has one");
    }
    return inner;
  }
}
