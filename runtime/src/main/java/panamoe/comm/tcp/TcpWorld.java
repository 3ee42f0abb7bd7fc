package panamoe.comm.tcp;

import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.Heartbeat;
import panamoe.comm.message.MessageCommunicator;
import panamoe.comm.message.MessageWorld;

/**
 * Ranks as processes, over TCP in plain Java, with any launcher: every two ranks are connected. A
 * process may be a rank of several worlds, one after the other or concurrently. Thread-safe.
 */
public final class TcpWorld implements MessageWorld {
  private static final int START_FACTOR = 6;
  private static final Duration SILENCE = Duration.ofSeconds(10);
  private static final Duration PAUSE = Duration.ofMillis(1);

  private final int rank;
  private final Duration timeout;
  private final Connection[] connections; // by rank; null for this one
  private final Heartbeat heartbeat;
  private final AtomicBoolean closed = new AtomicBoolean();

  private TcpWorld(int self, Duration timeout, Connection[] connections, Heartbeat heartbeat) {
    this.rank = self;
    this.timeout = timeout;
    this.connections = connections;
    this.heartbeat = heartbeat;
  }

  /**
   * Connects this process with the other ranks; collective. Close the world at the end: after
   * success closing waits for the others, after a failure it does not.
   *
   * @param timeout how long a rank waits for another before the world fails; a rank whose process
   *     ends is noticed immediately, one that is frozen or unreachable within 10 s. Starting may
   *     take six times this long
   * @param lost called on another thread, immediately, with the rank that was lost
   * @throws CommunicationException in one sentence, if the others did not connect
   */
  public static Communicator open(TcpRank self, Duration timeout, Consumer<String> lost) {
    Duration patience = timeout.multipliedBy(START_FACTOR);
    Handshake handshake = new Handshake(self, patience);
    Duration silence = timeout.compareTo(SILENCE) < 0 ? timeout : SILENCE;
    TcpRendezvous rendezvous = TcpRendezvous.of(self, handshake, patience);
    Mesh mesh = null;
    try {
      mesh = Mesh.connect(self, handshake, rendezvous, timeout);
      rendezvous.barrier(); // from here on, a silent rank is lost
      Heartbeat heartbeat =
          Heartbeat.over(
              rendezvous.connections(),
              self.rank(),
              self.size(),
              silence,
              true,
              new LostRankListener(lost));
      return new TcpWorld(self.rank(), timeout, mesh.connections(), heartbeat)
          .communicator(mesh.node(self.rank()));
    } catch (RuntimeException | Error e) {
      rendezvous.fail(e);
      if (mesh != null) {
        mesh.close();
      }
      throw e;
    }
  }

  private Communicator communicator(int node) {
    int size = connections.length;
    TcpMessages messages = new TcpMessages(this, IntStream.range(0, size).toArray(), 0);
    try {
      return MessageCommunicator.of(this, messages, rank, size, node, Arena.ofShared());
    } catch (RuntimeException | Error e) {
      heartbeat.end();
      throw e;
    }
  }

  /**
   * Reports a lost rank. Ignores failures that the rank has not noticed: all its waits have a
   * timeout, and its next call reports the failure.
   */
  private record LostRankListener(Consumer<String> listener) implements Heartbeat.Listener {
    @Override
    public void lost(String reason) {
      listener.accept(reason);
    }

    @Override
    public void unnoticed(String reason) {}
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

  /** False: a thread receives into its own memory, only while it waits. */
  @Override
  public boolean writesAfterFailure() {
    return false;
  }

  Connection connection(int other) {
    return connections[other];
  }

  /** Ends all connections but the heartbeat. */
  void disconnect() {
    for (Connection connection : connections) {
      if (connection != null) {
        connection.close();
      }
    }
  }

  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    boolean failedBefore = heartbeat.failure() != null;
    try {
      if (!failedBefore) {
        heartbeat.leave();
        awaitOthers();
      }
    } finally {
      disconnect();
      heartbeat.end();
    }
    if (!failedBefore && heartbeat.failure() != null) {
      throw new CommunicationException(heartbeat.failure());
    }
  }

  private void awaitOthers() {
    try {
      while (!heartbeat.allLeft() && heartbeat.failure() == null) {
        Thread.sleep(PAUSE);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommunicationException(
          heartbeat.fail("rank " + rank + " was interrupted while it waited for the others' end"),
          e);
    }
  }
}
