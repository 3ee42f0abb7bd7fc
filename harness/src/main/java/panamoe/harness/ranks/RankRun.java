package panamoe.harness.ranks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.nccl.NcclCommunicator;
import panamoe.harness.SharedOptions;
import panamoe.parallel.BackendNcclDevice;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;

/** Runs the ranks of this process: all ranks as threads, or its single rank. */
public record RankRun(RankOptions options, SharedOptions shared, Topology topology) {
  @FunctionalInterface
  public interface Body<T> {
    /**
     * @param backend of this rank
     * @param stop whether this rank was asked to stop
     */
    T run(Ranks ranks, Backend backend, BooleanSupplier stop) throws Exception;
  }

  /**
   * @param shared options for the device
   */
  public RankRun(RankOptions options, SharedOptions shared) {
    this(options, shared, options.topology());
  }

  /**
   * Runs {@code body} on every rank of this process.
   *
   * @return the result of rank 0, or of this process's rank
   * @throws InterruptedException if the work ended because this rank was asked to stop
   * @throws Exception of the first rank that failed
   */
  public <T> T run(Body<T> body) throws Exception {
    try (Trace recorded = options.trace() == null ? null : Trace.start()) {
      if (!options.oneProcess()) {
        return runProcess(recorded, body);
      }
      // One rank with NCCL communicates with itself, which shows whether NCCL works.
      T result = topology.ranks() == 1 && !options.gpus() ? runAlone(body) : runThreads(body);
      if (recorded != null) {
        Trace.write(options.trace(), List.of(recorded.stop()));
      }
      return result;
    } catch (CancellationException _) {
      throw new InterruptedException();
    }
  }

  private <T> T runAlone(Body<T> body) throws Exception {
    return Stoppable.run(
        Trace.threadOf(0),
        stop -> {
          try (Backend backend = options.open(shared, 0)) {
            return body.run(Ranks.alone(), backend, stop);
          }
        });
  }

  private <T> T runProcess(Trace recorded, Body<T> body) throws Exception {
    Communicator met = options.meet();
    Body<T> traced =
        (ranks, backend, stop) -> {
          T result = body.run(ranks, backend, stop);
          if (recorded != null) {
            gatherTrace(ranks.world(), recorded.stop());
          }
          return result;
        };
    try {
      return Stoppable.run(
          Trace.threadOf(met.rank()), stop -> runRank(met, RankOptions.localRank(), traced, stop));
    } catch (CommunicationException e) {
      throw e;
    } catch (Throwable e) {
      // Only rank 0 prints errors: report to it why this rank ends.
      met.abort(e.getMessage() == null ? e.toString() : e.getMessage());
      throw e;
    }
  }

  private void gatherTrace(Communicator world, byte[] mine) throws IOException {
    List<byte[]> all = new ArrayList<>();
    for (int rank = 0; rank < world.size(); rank++) {
      all.add(world.broadcast(mine, rank));
    }
    if (world.rank() == 0) {
      Trace.write(options.trace(), all);
    }
  }

  /**
   * @param localRank of this rank on its machine
   */
  private <T> T runRank(Communicator met, int localRank, Body<T> body, BooleanSupplier stop)
      throws Exception {
    try (Backend backend = options.open(shared, localRank)) {
      Communicator world = join(met, backend);
      long machines = LongStream.of(world.allGather(world.node())).distinct().count();
      Ranks ranks = new Ranks(topology, world, options.strategy(), options.overlap(machines));
      T result = body.run(ranks, backend, stop);
      // Closes the groups after success only: after a failure closing would wait forever.
      ranks.close();
      world.close();
      return result;
    }
  }

  /** The communicator for tensors: on GPUs NCCL over {@code met}, otherwise {@code met} itself. */
  private Communicator join(Communicator met, Backend backend) {
    return options.gpus()
        ? NcclCommunicator.open(met, new BackendNcclDevice(backend), options.timeout())
        : met;
  }

  private <T> T runThreads(Body<T> body) throws Exception {
    ThreadWorld world =
        ThreadWorld.of(options.nodes(), topology.ranks() / options.nodes())
            .timeout(options.timeout());
    try {
      return Stoppable.run(
              "ranks", stop -> world.run(rank -> runRank(rank, rank.rank(), body, stop)))
          .getFirst();
    } catch (CommunicationException e) {
      throw e.getCause() instanceof Exception first ? first : e;
    }
  }
}
