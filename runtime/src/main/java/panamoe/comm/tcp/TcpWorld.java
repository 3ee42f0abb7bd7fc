package panamoe.comm.tcp;

import java.lang.foreign.Arena;
import java.nio.channels.SocketChannel;
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
 * Ranks as processes that anything may have started, over TCP in plain Java: every two ranks are
 * connected. A process may be a rank of several worlds, one after the other or at once.
 * Thread-safe.
 */
public final class TcpWorld implements MessageWorld {
  private static final int START_FACTOR = 6;
  private static final Duration SILENCE = Duration.ofSeconds(10);
  private static final Duration PAUSE = Duration.ofMillis(1);

  private final int rank;
  private final Duration timeout;
  private final Connection[] connections; // by rank; null for this one
  private final Heartbeat lifeline;
  private final AtomicBoolean closed = new AtomicBoolean();

  private TcpWorld(int self, Duration timeout, SocketChannel[] channels, Heartbeat lifeline) {
    this.rank = self;
    this.timeout = timeout;
    this.connections =
        IntStream.range(0, channels.length)
            .mapToObj(rank -> channels[rank] == null ? null : new Connection(rank, channels[rank]))
            .toArray(Connection[]::new);
    this.lifeline = lifeline;
  }

  /**
   * Connects this process with the other ranks; collective. After success close the world, which
   * waits for the others; after a failure close it too, which does not wait.
   *
   * @param timeout how long a rank waits for a late one before the world fails; a rank whose
   *     process ends is noticed at once, one that is frozen or cut off within 10 s. Starting may
   *     take six times this long
   * @param lost hears on another thread, at once, which rank was lost
   * @throws CommunicationException in one sentence, if the others did not come
   */
  public static Communicator open(TcpRank self, Duration timeout, Consumer<String> lost) {
    Handshake handshake = new Handshake(self);
    Duration patience = timeout.multipliedBy(START_FACTOR);
    Duration silence = timeout.compareTo(SILENCE) < 0 ? timeout : SILENCE;
    TcpRendezvous gathering = TcpRendezvous.of(self, handshake, patience);
    Mesh mesh = null;
    try {
      mesh = Mesh.connect(self, handshake, gathering, timeout);
      gathering.barrier(); // from here on, who is silent is lost
      Heartbeat lifeline =
          Heartbeat.over(
              gathering.connections(), self.rank(), self.size(), silence, true, new Ear(lost));
      return new TcpWorld(self.rank(), timeout, mesh.channels(), lifeline)
          .communicator(mesh.node(self.rank()));
    } catch (RuntimeException | Error e) {
      gathering.fail(e);
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
      lifeline.end();
      throw e;
    }
  }

  /**
   * The rank's own thread waits nowhere without a clock: it hears of a failure at its next call.
   */
  private record Ear(Consumer<String> told) implements Heartbeat.Witness {
    @Override
    public void lost(String reason) {
      told.accept(reason);
    }

    @Override
    public void unheard(String reason) {}
  }

  @Override
  public Duration timeout() {
    return timeout;
  }

  @Override
  public Heartbeat lifeline() {
    return lifeline;
  }

  @Override
  public boolean isClosed() {
    return closed.get();
  }

  /** Threads write into their own memory alone, and only while they wait. */
  @Override
  public boolean writesAfterFailure() {
    return false;
  }

  Connection connection(int other) {
    return connections[other];
  }

  /** Ends all connections but the lifeline. */
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
    boolean failedBefore = lifeline.failure() != null;
    try {
      if (!failedBefore) {
        lifeline.leave();
        awaitOthers();
      }
    } finally {
      disconnect();
      lifeline.end();
    }
    if (!failedBefore && lifeline.failure() != null) {
      throw new CommunicationException(lifeline.failure());
    }
  }

  private void awaitOthers() {
    try {
      while (!lifeline.allLeft() && lifeline.failure() == null) {
        Thread.sleep(PAUSE);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommunicationException(
          lifeline.fail("rank " + rank + " was interrupted while it waited for the others' end"),
          e);
    }
  }
}
