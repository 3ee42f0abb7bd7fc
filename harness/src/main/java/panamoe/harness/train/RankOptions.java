package panamoe.harness.train;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.Communicators;
import panamoe.comm.Launch;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** How many ranks train together, what each holds, and what joins them: {@code @Mixin RankOptions ranks}. */
final class RankOptions {
  /** What ranks are. */
  enum Kind {
    /** Threads of this process. */
    THREADS,
    /** Processes that mpirun or srun started. */
    MPI
  }

  /** What each rank does. */
  @FunctionalInterface
  interface Body<T> {
    /** @param stop whether this rank was asked to stop soon */
    T run(Ranks ranks, BooleanSupplier stop) throws Exception;
  }

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(names = "--ranks", paramLabel = "N", description = "Ranks, as threads of this process. Default: 1.")
  private Integer count;

  @Option(
      names = "--comm",
      paramLabel = "KIND",
      defaultValue = "threads",
      description = "threads of this process, or mpi: one rank in each process that mpirun or srun starts.")
  private Kind kind;

  @Option(
      names = "--ep",
      paramLabel = "N",
      description = "Most ranks that a layer's experts are spread over. Default: all that have tokens of their own.")
  private Integer expertDegree;

  @Option(
      names = "--tp",
      paramLabel = "N",
      defaultValue = "1",
      description = "Ranks that heads and MLPs are sliced over. Default: ${DEFAULT-VALUE}.")
  private int tensorDegree;

  @Option(names = "--slice-experts", description = "Slice experts as well, for more ranks than experts.")
  private boolean sliceExperts;

  @Option(
      names = "--exchange",
      paramLabel = "WAY",
      defaultValue = "auto",
      description = "flat, hierarchical (within nodes, then between them) or auto. Default: ${DEFAULT-VALUE}.")
  private Strategy strategy;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = "How long a rank waits for a silent one; a dead one is noticed at once. Default: ${DEFAULT-VALUE}.")
  private int timeout;

  /**
   * The topology that was asked for.
   *
   * @throws ParameterException if the degrees do not fit the number of ranks
   */
  Topology topology() {
    if (kind == Kind.MPI && count != null) {
      throw new ParameterException(command.commandLine(), "--ranks is for threads; mpirun -n says how many processes");
    }
    int ranks = kind == Kind.MPI ? Launch.size().orElse(1) : count == null ? 1 : count;
    try {
      int experts = expertDegree != null ? expertDegree : Math.max(1, ranks / Math.max(1, tensorDegree));
      return new Topology(ranks, experts, tensorDegree, sliceExperts);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  /** Whether this process writes the run's files: the one with rank 0. */
  boolean leads() {
    return kind == Kind.THREADS || Launch.rank().orElse(0) == 0;
  }

  /** Ranks that share this machine's cores. */
  int here() {
    return kind == Kind.MPI ? Launch.sizeHere().orElse(1) : topology().ranks();
  }

  /**
   * Runs {@code body} on every rank of this process.
   *
   * @return what rank 0, or this process's rank, gave back
   * @throws Exception what a rank threw first
   */
  <T> T run(Body<T> body) throws Exception {
    Topology topology = topology();
    if (kind == Kind.MPI) {
      // Closed only when all went well: that waits for the others, who after a failure would never come.
      Communicator world = Communicators.open("mpi", Duration.ofSeconds(timeout));
      T result = play(topology, world, body, Thread::interrupted);
      world.close();
      return result;
    }
    if (topology.ranks() == 1) {
      return body.run(Ranks.alone(), Thread::interrupted);
    }
    return runThreads(topology, body);
  }

  private <T> T play(Topology topology, Communicator world, Body<T> body, BooleanSupplier stop) throws Exception {
    try (Ranks ranks = new Ranks(topology, world, strategy, Overlap.NONE)) {
      return body.run(ranks, stop);
    }
  }

  /** Another thread runs the ranks, so that this one can hear an interrupt and hand it on as a wish to stop. */
  private <T> T runThreads(Topology topology, Body<T> body) throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<List<T>> results = new AtomicReference<>();
    AtomicReference<Throwable> failure = new AtomicReference<>();
    ThreadWorld world = ThreadWorld.of(topology.ranks()).timeout(Duration.ofSeconds(timeout));
    Thread runner =
        Thread.ofPlatform()
            .daemon()
            .name("ranks")
            .start(
                () -> {
                  try {
                    results.set(world.run(rank -> play(topology, rank, body, stop::get)));
                  } catch (Throwable e) {
                    failure.set(e);
                  }
                });
    while (runner.isAlive()) {
      try {
        runner.join();
      } catch (InterruptedException _) {
        stop.set(true);
      }
    }
    switch (failure.get()) {
      case null -> {}
      case CommunicationException e when e.getCause() instanceof Exception first -> throw first;
      case Exception e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
    return results.get().getFirst();
  }
}
