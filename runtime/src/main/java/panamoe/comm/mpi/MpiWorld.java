package panamoe.comm.mpi;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import panamoe.bindings.mpi.Mpi;
import panamoe.bindings.mpi.OpenMpi;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.Heartbeat;
import panamoe.comm.LauncherVariables;
import panamoe.comm.message.InFlightMemory;
import panamoe.comm.message.MessageCommunicator;
import panamoe.comm.message.MessageWorld;
import panamoe.comm.tcp.TcpRendezvous;

/** MPI in this process: started once, used by all groups, ended once. Thread-safe. */
public final class MpiWorld implements MessageWorld {
  private static final int START_FACTOR = 6;
  // A separate thread of each rank sends heartbeats, so a slow rank still counts as alive; a silent
  // one is lost.
  private static final Duration SILENCE = Duration.ofSeconds(10);
  // MPI counts in int; a power of two keeps chunks aligned.
  private static final long CHUNK = 1L << 30;

  private final Duration timeout;
  private final long chunk;
  private final AtomicBoolean closed = new AtomicBoolean();
  private Heartbeat heartbeat;

  private MpiWorld(Duration timeout, long chunk) {
    this.timeout = timeout;
    this.chunk = chunk;
  }

  /**
   * Connects all processes that mpirun or srun started; without a launcher, a world of one rank.
   * Each process calls it once, early. {@link LauncherVariables#rank} knows the rank before that.
   * After success close the world, which waits for the others; after a failure exit with a status
   * other than 0.
   *
   * <p>A run has succeeded when rank 0 reports it at its end. The launcher's exit status is not
   * enough: mpirun may return 0 when a whole node is lost.
   *
   * @param timeout how long a rank waits for another before the world fails; a rank whose process
   *     ends is noticed immediately, one that is frozen or unreachable within 10 s. Starting may
   *     take six times this long
   * @throws CommunicationException in one sentence: Open MPI 5 is not installed, or the others did
   *     not start
   */
  public static Communicator open(Duration timeout) {
    return open(timeout, CHUNK);
  }

  /**
   * @param chunk bytes of the longest message; longer blocks are split
   */
  static Communicator open(Duration timeout, long chunk) {
    requireLibrary();
    return new MpiWorld(timeout, chunk).start();
  }

  /**
   * @throws CommunicationException in one sentence that says where Open MPI was looked for, if it
   *     is not there
   */
  public static void requireLibrary() {
    try {
      OpenMpi.ensureAvailable();
    } catch (UnsatisfiedLinkError e) {
      throw new CommunicationException(e.getMessage(), e);
    }
  }

  private Communicator start() {
    if (!LauncherVariables.onOneMachine()) {
      // When a connection between machines breaks, Open MPI would end this process too, whatever
      // the error handlers, and without naming the lost rank. Shared memory does not have this
      // problem.
      OpenMpi.tolerateLostConnections();
    }
    Duration patience = timeout.multipliedBy(START_FACTOR);
    try (Arena arena = Arena.ofConfined();
        StartLimit _ = new StartLimit(patience)) {
      MemorySegment number = arena.allocate(ValueLayout.JAVA_INT);
      check(
          Mpi.MPI_Init_thread(
              MemorySegment.NULL, MemorySegment.NULL, Mpi.MPI_THREAD_MULTIPLE(), number),
          "MPI_Init_thread");
      if (number.get(ValueLayout.JAVA_INT, 0) != Mpi.MPI_THREAD_MULTIPLE()) {
        throw new CommunicationException(
            OpenMpi.version() + " does not let several threads communicate");
      }
      MemorySegment world = OpenMpi.world();
      check(Mpi.MPI_Comm_set_errhandler(world, OpenMpi.errorsReturn()), "MPI_Comm_set_errhandler");
      check(Mpi.MPI_Comm_rank(world, number), "MPI_Comm_rank");
      int rank = number.get(ValueLayout.JAVA_INT, 0);
      if (rank == 0) {
        LauncherVariables.warnOfClearTensors("MPI");
      }
      check(Mpi.MPI_Comm_size(world, number), "MPI_Comm_size");
      int size = number.get(ValueLayout.JAVA_INT, 0);
      Duration silence = timeout.compareTo(SILENCE) < 0 ? timeout : SILENCE;
      heartbeat =
          Heartbeat.over(
              TcpRendezvous.connect(rank, size, patience, this::broadcastFromRank0),
              rank,
              size,
              silence,
              false,
              new StderrListener(rank));
      Arena messages = Arena.ofShared();
      return MessageCommunicator.of(
          this,
          new MpiMessages(world, chunk, messages),
          rank,
          size,
          firstRankOfNode(rank),
          messages);
    }
  }

  @Override
  public Duration timeout() {
    return timeout;
  }

  @Override
  public Heartbeat heartbeat() {
    return heartbeat;
  }

  @Override
  public boolean isClosed() {
    return closed.get();
  }

  @Override
  public boolean writesAfterFailure() {
    return true;
  }

  @Override
  public void close() {
    if (!closed.compareAndSet(false, true) || heartbeat.failure() != null) {
      return;
    }
    heartbeat.leave();
    finish();
    if (heartbeat.failure() != null) {
      throw new CommunicationException(heartbeat.failure());
    }
    sayDone();
  }

  /**
   * Creates the file that {@code ci/ranks} checks, because mpirun's exit status does not prove
   * success.
   */
  private void sayDone() {
    String mark = System.getenv("PANAMOE_DONE");
    if (mark != null && LauncherVariables.rank().orElse(0) == 0) {
      try {
        Files.createFile(Path.of(mark));
      } catch (IOException e) {
        throw new CommunicationException(
            "cannot write the mark of success " + mark + ": " + e.getMessage(), e);
      }
    }
  }

  private void finish() {
    Thread end = Thread.ofPlatform().daemon().name("MPI_Finalize").start(Mpi::MPI_Finalize);
    long othersLeft = Long.MAX_VALUE;
    try {
      while (!end.join(Duration.ofMillis(10)) && heartbeat.failure() == null) {
        long now = System.nanoTime();
        othersLeft = heartbeat.allLeft() ? Math.min(othersLeft, now) : Long.MAX_VALUE;
        if (now - othersLeft > timeout.toNanos()) {
          return; // all work is done: a hang in MPI_Finalize does not make the run fail
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * @throws CommunicationException in one sentence if {@code status} is an error
   */
  static void check(int status, String function) {
    if (status != Mpi.MPI_SUCCESS()) {
      throw new CommunicationException(function + " failed: " + OpenMpi.errorString(status));
    }
  }

  /** Used before the heartbeat exists; blocks at most as long as {@link StartLimit} allows. */
  private byte[] broadcastFromRank0(byte[] bytes) {
    return InFlightMemory.lend(
        true,
        memory -> {
          MemorySegment length =
              memory.allocateFrom(ValueLayout.JAVA_INT, bytes == null ? 0 : bytes.length);
          check(
              Mpi.MPI_Bcast(length, Integer.BYTES, OpenMpi.byteType(), 0, OpenMpi.world()),
              "MPI_Bcast");
          MemorySegment data = memory.allocate(length.get(ValueLayout.JAVA_INT, 0));
          if (bytes != null) {
            data.copyFrom(MemorySegment.ofArray(bytes));
          }
          check(
              Mpi.MPI_Bcast(data, (int) data.byteSize(), OpenMpi.byteType(), 0, OpenMpi.world()),
              "MPI_Bcast");
          return data.toArray(ValueLayout.JAVA_BYTE);
        });
  }

  /** The lowest rank that shares memory with this one; it identifies the node. */
  private static int firstRankOfNode(int rank) {
    return InFlightMemory.lend(
        true,
        memory -> {
          MemorySegment handle = memory.allocate(ValueLayout.ADDRESS);
          check(
              Mpi.MPI_Comm_split_type(
                  OpenMpi.world(), Mpi.MPI_COMM_TYPE_SHARED(), rank, OpenMpi.infoNull(), handle),
              "MPI_Comm_split_type");
          MemorySegment first = memory.allocateFrom(ValueLayout.JAVA_INT, rank);
          MemorySegment node = handle.get(ValueLayout.ADDRESS, 0);
          check(Mpi.MPI_Bcast(first, Integer.BYTES, OpenMpi.byteType(), 0, node), "MPI_Bcast");
          check(Mpi.MPI_Comm_free(handle), "MPI_Comm_free");
          return first.get(ValueLayout.JAVA_INT, 0);
        });
  }

  /** Prints a failure that this rank's thread might report too late, or never. */
  private record StderrListener(int rank) implements Heartbeat.Listener {
    @Override
    public void lost(String reason) {
      System.err.println("rank " + rank + ": " + reason);
    }

    @Override
    public void unnoticed(String reason) {
      // The rank is stuck in the library: its thread cannot be interrupted, so no exception can
      // reach its caller.
      if (rank == 0) {
        System.err.println("panamoe: " + reason);
      }
      Runtime.getRuntime().halt(1);
    }
  }
}
