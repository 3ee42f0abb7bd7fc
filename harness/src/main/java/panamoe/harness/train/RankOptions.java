package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
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
    MPI,
    /** Such processes with a GPU each. */
    NCCL
  }

  /** What each rank does. */
  @FunctionalInterface
  interface Body<T> {
    /** @param stop whether this rank was asked to stop soon */
    T run(Ranks ranks, BooleanSupplier stop) throws Exception;
  }

  private static final int MOST_PARTS = 64;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  private Integer parts;

  @Option(names = "--ranks", paramLabel = "N", description = "Ranks, as threads of this process. Default: 1.")
  private Integer count;

  @Option(
      names = "--comm",
      paramLabel = "KIND",
      defaultValue = "threads",
      description = {
        "threads of this process; mpi: one rank in each process that mpirun or srun starts;",
        "nccl: for ranks with a GPU each, which train does not serve yet. Default: ${DEFAULT-VALUE}."
      })
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
      names = "--overlap",
      paramLabel = "N",
      description = {
        "Rows travel in N parts while their rank computes; 0: it waits for them.",
        "Default: 2 where ranks are on several machines, otherwise 0."
      })
  private void setParts(int parts) {
    if (parts < 0 || parts > MOST_PARTS) {
      throw new ParameterException(
          command.commandLine(),
          "Invalid value for option '--overlap': %d is not in 0..%d".formatted(parts, MOST_PARTS));
    }
    this.parts = parts;
  }


  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description = "Write what each rank computed and exchanged, and when, for chrome://tracing.")
  private Path trace;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = {
        "How long a rank waits for a late one. Default: ${DEFAULT-VALUE}.",
        "A process that ends is noticed at once, one that is frozen or cut off within 10 s."
      })
  private int timeout;

  /**
   * The topology that was asked for.
   *
   * @throws ParameterException if the degrees do not fit the number of ranks
   */
  Topology topology() {
    if (kind != Kind.THREADS && count != null) {
      throw new ParameterException(command.commandLine(), "--ranks is for threads; mpirun -n says how many processes");
    }
    if (kind == Kind.THREADS && Launch.underMpirun()) {
      throw new ParameterException(
          command.commandLine(), "mpirun started several processes: --comm mpi makes them ranks of one run");
    }
    int ranks = kind != Kind.THREADS ? Launch.size().orElse(1) : count == null ? 1 : count;
    try {
      int experts = expertDegree != null ? expertDegree : Math.max(1, ranks / Math.max(1, tensorDegree));
      return new Topology(ranks, experts, tensorDegree, sliceExperts);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  /**
   * Looks for what the run will need, before anything is written.
   *
   * @throws CommunicationException in one sentence, if what joins the processes is not there
   * @throws ParameterException if the trace has no place
   */
  void requireAvailable() {
    if (kind != Kind.THREADS) {
      Communicators.requireAvailable(kind.name().toLowerCase(Locale.ROOT));
    }
    if (trace != null && (Files.isDirectory(trace) || !Files.isWritable(trace.toAbsolutePath().getParent()))) {
      throw new ParameterException(command.commandLine(), "--trace cannot write the file " + trace);
    }
  }

  /** Whether this process writes the run's files: the one with rank 0. */
  boolean leads() {
    return oneProcess() || Launch.rank().orElse(0) == 0;
  }

  /** Whether all ranks are threads of this process. */
  boolean oneProcess() {
    return kind == Kind.THREADS;
  }

  /** Ranks that share this machine's cores. */
  int here() {
    return kind != Kind.THREADS ? Launch.sizeHere().orElse(1) : topology().ranks();
  }

  /**
   * Runs {@code body} on every rank of this process.
   *
   * @return what rank 0, or this process's rank, gave back
   * @throws Exception what a rank threw first
   */
  <T> T run(Body<T> body) throws Exception {
    Topology topology = topology();
    try (Trace recorded = trace == null ? null : Trace.start()) {
      if (kind != Kind.THREADS) {
        return runProcess(topology, recorded, body);
      }
      T result = topology.ranks() == 1 ? runAlone(body) : runThreads(topology, body);
      if (recorded != null) {
        Trace.write(trace, List.of(recorded.stop()));
      }
      return result;
    }
  }

  private <T> T runAlone(Body<T> body) throws Exception {
    Thread.currentThread().setName(Trace.threadOf(0));
    return body.run(Ranks.alone(), Thread::interrupted);
  }

  private <T> T runProcess(Topology topology, Trace recorded, Body<T> body) throws Exception {
    // Closed only when all went well: that waits for the others, who after a failure would never come.
    Communicator world = Communicators.open(kind.name().toLowerCase(Locale.ROOT), Duration.ofSeconds(timeout));
    Thread.currentThread().setName(Trace.threadOf(world.rank()));
    try {
      T result = play(topology, world, body, Thread::interrupted);
      if (recorded != null) {
        gatherTrace(world, recorded.stop());
      }
      world.close();
      return result;
    } catch (CommunicationException e) {
      throw e;
    } catch (Throwable e) {
      // Rank 0 alone speaks: it is to know why this rank ends, not only that it does.
      world.abort(e.getMessage() == null ? e.toString() : e.getMessage());
      throw e;
    }
  }

  private void gatherTrace(Communicator world, byte[] mine) throws IOException {
    List<byte[]> all = new ArrayList<>();
    for (int rank = 0; rank < world.size(); rank++) {
      all.add(world.broadcast(mine, rank));
    }
    if (world.rank() == 0) {
      Trace.write(trace, all);
    }
  }

  private <T> T play(Topology topology, Communicator world, Body<T> body, BooleanSupplier stop) throws Exception {
    try (Ranks ranks = new Ranks(topology, world, strategy, overlap(world))) {
      return body.run(ranks, stop);
    }
  }

  /** Between threads and on one machine memory is the link: there is little to hide, and no core to spare. */
  private Overlap overlap(Communicator world) {
    long machines = LongStream.of(world.allGather(world.node())).distinct().count();
    int wanted = parts != null ? parts : machines > 1 ? 2 : 0;
    return wanted == 0 ? Overlap.NONE : new Overlap(true, wanted);
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
