package panamoe.harness.ranks;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import panamoe.backend.Backend;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.LauncherVariables;
import panamoe.comm.exchange.Strategy;
import panamoe.comm.mpi.MpiWorld;
import panamoe.comm.nccl.NcclCommunicator;
import panamoe.comm.tcp.TcpRank;
import panamoe.comm.tcp.TcpWorld;
import panamoe.harness.OutputPlace;
import panamoe.harness.SharedOptions;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.parallel.Overlap;
import panamoe.parallel.Topology;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * The options for the number of ranks, the topology and the communicator: {@code @Mixin RankOptions
 * ranks}.
 */
@OptionGroup("Ranks")
public final class RankOptions {
  enum Kind {
    /** Threads of this process. */
    THREADS,
    /** Processes that mpirun or srun started. */
    MPI,
    /** Processes of any launcher. */
    TCP,
    /** Processes, or threads if {@code --ranks} is given, with one GPU each. */
    NCCL
  }

  private static final int MOST_PARTS = 64;

  /** Each thread has a backend and a share of the cores. */
  private static final int MOST_THREADS = 64;

  /** Seconds that ranks wait for the rank that measures the machine. */
  private static final int MEASURING_TIMEOUT = 60;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  private Integer parts;

  @Option(
      names = "--help-all",
      usageHelp = true,
      description =
          "Show this help message with the options for several ranks, as threads, processes or on GPUs: --ranks, --comm, --ep, --tp and others.")
  private boolean helpAll;

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description = "Ranks, as threads of this process. Default: 1.")
  private Integer count;

  @Option(
      names = "--nodes",
      paramLabel = "N",
      description =
          "Simulate N machines for ranks that are threads, equally many ranks on each. Default: 1.")
  private Integer nodes;

  @Option(
      names = "--comm",
      paramLabel = "KIND",
      defaultValue = "threads",
      description = {
        "threads of this process; mpi: one rank in each process that mpirun or srun starts;",
        "tcp: one in each process, by PANAMOE_RANK, PANAMOE_RANKS, PANAMOE_RENDEZVOUS and PANAMOE_SECRET,",
        "encrypted with PANAMOE_ENCRYPT=1;",
        "nccl: either of these with a GPU for each rank, or with --ranks threads with a GPU each. Default: ${DEFAULT-VALUE}."
      })
  private Kind kind;

  @Option(
      names = "--ep",
      paramLabel = "N",
      description = {
        "Most ranks that a layer's experts are spread over. Default: all that have tokens of their own.",
        "More, up to ranks / expert slices: tensor ranks hold different experts, too."
      })
  private Integer expertDegree;

  @Option(
      names = "--tp",
      paramLabel = "N",
      defaultValue = "1",
      description = "Ranks that heads and MLPs are sliced over. Default: ${DEFAULT-VALUE}.")
  private int tensorDegree;

  @Option(
      names = "--expert-slices",
      paramLabel = "N",
      description =
          "Slice each expert over N of the tensor ranks, for more ranks than experts. Default: 1.")
  private Integer expertSlices;

  @Option(
      names = "--slice-experts",
      description = "Slice each expert over all tensor ranks: --expert-slices with N of --tp.")
  private boolean sliceExperts;

  @Option(
      names = "--exchange",
      paramLabel = "WAY",
      defaultValue = "auto",
      description =
          "flat, hierarchical (within nodes, then between them) or auto. Default:"
              + " ${DEFAULT-VALUE}.")
  private Strategy strategy;

  @Option(
      names = "--overlap",
      paramLabel = "N",
      description = {
        "Send rows in N parts while their rank computes; 0: it waits for them.",
        "Default: 2 if ranks are on several machines, otherwise and on GPUs 0."
      })
  private void setParts(int parts) {
    boolean holds = parts >= 0 && parts <= MOST_PARTS;
    require(holds, "Invalid value for option '--overlap': %d is not in 0..%d", parts, MOST_PARTS);
    this.parts = parts;
  }

  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description =
          "Write a timeline of each rank's computing and exchanges, for chrome://tracing.")
  private Path trace;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = {
        "How long a rank waits for another. Default: ${DEFAULT-VALUE}.",
        "A process that ends is noticed immediately, one that is frozen or unreachable within 10 s."
      })
  private int timeout;

  /** Ranks of this machine without options: processes if a launcher started several. */
  public static RankOptions threadsOrProcesses(int count) {
    RankOptions options = new RankOptions();
    options.kind = Kind.THREADS;
    if (LauncherVariables.amongOthers()) {
      options.kind = LauncherVariables.byTcp() ? Kind.TCP : Kind.MPI;
    }
    options.count = LauncherVariables.amongOthers() ? null : Integer.valueOf(count);
    options.tensorDegree = 1;
    options.strategy = Strategy.AUTO;
    options.timeout = MEASURING_TIMEOUT;
    return options;
  }

  /**
   * The requested topology.
   *
   * @throws ParameterException if options contradict each other, or the nodes do not divide the
   *     ranks
   * @throws IllegalArgumentException if the degrees do not divide the ranks
   */
  public Topology topology() {
    if (count != null && (!oneProcess() || gpus() && LauncherVariables.amongOthers())) {
      throw usage(
          "--ranks is for threads; %s says how many processes",
          overTcp() ? LauncherVariables.RANKS : "-n of mpirun or srun");
    }
    if (oneProcess() && LauncherVariables.amongOthers()) {
      throw usage(
          LauncherVariables.byTcp()
              ? LauncherVariables.RANKS
                  + " is set for several processes: --comm tcp makes them ranks of one run"
              : "mpirun or srun started several processes: --comm mpi makes them ranks of one run");
    }
    require(timeout >= 1, "--timeout is %s s, expected 1 or more", timeout);
    require(
        !sliceExperts || tensorDegree != 1,
        "--slice-experts slices experts over tensor ranks, but the tensor degree is 1");
    require(
        !sliceExperts || expertSlices == null || expertSlices == tensorDegree,
        "--slice-experts means --expert-slices %s, the tensor degree, but --expert-slices is %s",
        tensorDegree,
        expertSlices);
    int ranks = !oneProcess() ? LauncherVariables.size().orElse(1) : count == null ? 1 : count;
    requireNodes(ranks);
    int experts =
        expertDegree != null ? expertDegree : Math.max(1, ranks / Math.max(1, tensorDegree));
    if (ranks == 1 && (experts > 1 || tensorDegree > 1)) {
      throw usage(
          "--ep and --tp spread a model over ranks, but there is only one: "
              + (oneProcess()
                  ? "--ranks N makes N of them"
                  : overTcp()
                      ? LauncherVariables.RANKS + " says how many"
                      : "mpirun -n N or srun --mpi=pmix -n N starts N of them"));
    }
    int slices = sliceExperts ? tensorDegree : expertSlices == null ? 1 : expertSlices;
    return new Topology(ranks, experts, tensorDegree, slices);
  }

  private void requireNodes(int ranks) {
    require(
        nodes == null || oneProcess(),
        "--nodes is for threads; processes are on the machines on which they were started");
    require(
        nodes() >= 1 && ranks % nodes() == 0,
        "--nodes is %s, but must be 1 or more and divide the %s",
        nodes,
        Count.of(ranks, "rank"));
  }

  /** The number of simulated nodes for ranks that are threads. */
  public int nodes() {
    return nodes == null ? 1 : nodes;
  }

  /**
   * Checks the run's requirements before anything is written.
   *
   * @throws CommunicationException with a one-sentence message, if MPI or NCCL is missing
   * @throws ParameterException if there are too many threads, or the environment lacks a variable
   *     of a TCP rank
   * @throws IllegalArgumentException if the trace cannot be written to its path
   */
  public void requireAvailable() {
    require(
        count == null || count <= MOST_THREADS,
        "--ranks is %s, but a process has at most %s ranks as threads; mpirun or srun starts more, with --comm mpi",
        count,
        MOST_THREADS);
    if (overTcp()) {
      self();
    } else if (!oneProcess()) {
      MpiWorld.requireLibrary();
    }
    if (gpus()) {
      NcclCommunicator.requireLibrary();
    }
    if (trace != null) {
      OutputPlace.requireFile(trace, "--trace");
    }
  }

  /**
   * Free bytes of the device of this process's last rank, without opening a backend.
   *
   * @throws ParameterException with a one-sentence message, if the device is not available; with
   *     NCCL also if there are fewer GPUs than ranks
   */
  public long memoryAvailable(SharedOptions shared) {
    if (!gpus()) {
      return shared.memoryAvailable();
    }
    try (Backend gpu = open(shared, oneProcess() ? topology().ranks() - 1 : localRank())) {
      return gpu.memoryAvailable();
    }
  }

  /**
   * Opens a rank's device; the caller closes it.
   *
   * @param localRank of the rank on this machine
   */
  Backend open(SharedOptions shared, int localRank) {
    return gpus() ? shared.openGpu(localRank) : shared.open(here());
  }

  /** The local rank of this process on its machine. */
  static int localRank() {
    return LauncherVariables.rankHere().orElse(0);
  }

  /** Whether each rank has its own GPU and NCCL moves the tensors. */
  public boolean gpus() {
    return kind == Kind.NCCL;
  }

  /** Whether this process has rank 0, which writes the run's files. */
  public boolean leads() {
    return oneProcess() || LauncherVariables.rank().orElse(0) == 0;
  }

  /** Whether all ranks are threads of this process. */
  public boolean oneProcess() {
    return kind == Kind.THREADS || gpus() && count != null;
  }

  private boolean overTcp() {
    return kind == Kind.TCP || gpus() && !oneProcess() && LauncherVariables.byTcp();
  }

  private TcpRank self() {
    try {
      return TcpRank.of(System.getenv());
    } catch (IllegalArgumentException e) {
      throw usage("--comm " + kind.name().toLowerCase(Locale.ROOT) + ": " + e.getMessage());
    }
  }

  /**
   * Connects this process with the other ranks.
   *
   * @throws CommunicationException in one sentence
   */
  Communicator meet() {
    if (!overTcp()) {
      return MpiWorld.open(timeout());
    }
    TcpRank self = self();
    return TcpWorld.open(
        self, timeout(), lost -> System.err.println("rank " + self.rank() + ": " + lost));
  }

  /** The number of ranks that share this machine's cores. */
  public int here() {
    return oneProcess() ? topology().ranks() : LauncherVariables.sizeHere().orElse(1);
  }

  public Duration timeout() {
    return Duration.ofSeconds(timeout);
  }

  public Strategy strategy() {
    return strategy;
  }

  /** The trace's path; null without a trace. */
  Path trace() {
    return trace;
  }

  /**
   * The overlap of exchange and computing. Ranks on one machine exchange through memory: there is
   * little to hide, and no core to spare. The gain on GPUs is not measured.
   *
   * @param machines number of machines of the ranks
   */
  Overlap overlap(long machines) {
    int wanted = parts != null ? parts : machines > 1 && !gpus() ? 2 : 0;
    return wanted == 0 ? Overlap.NONE : new Overlap(true, wanted);
  }

  private void require(boolean holds, String pattern, Object... values) {
    if (!holds) {
      throw usage(pattern, values);
    }
  }

  private ParameterException usage(String pattern, Object... values) {
    return new ParameterException(command.commandLine(), Words.of(pattern, values));
  }
}
