package panamoe.comm;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StreamCorruptedException;
import java.net.Socket;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import panamoe.io.Words;

/**
 * Failure detection for ranks that are processes: a TCP connection from every rank to rank 0. Over
 * it a rank learns that another has died, is frozen, has left or aborts the world; a collective
 * that waits for that rank would not report it. Rank 0 decides which failure came first, so that
 * all ranks report the same reason. Thread-safe.
 */
public final class Heartbeat {
  private static final int LONGEST_REASON = 10_000;
  private static final int VERDICT_MILLIS = 1000;
  private static final Duration LAST_MOMENT = Duration.ofMillis(500);
  // A message on a connection: its kind, then a rank or a reason.
  private static final int ALIVE = 0;
  private static final int LEFT = 1;
  private static final int FAILED = 2;
  private static final int LOST = 3;
  private static final int ALL_LEFT = 4;

  private final int rank;
  private final int size;
  private final Duration timeout;
  private final Map<Integer, Line> lines = new ConcurrentHashMap<>();
  // Whether rank 0 reports that all ranks have left before it closes its connections.
  private final boolean goodbye;
  private final Set<Integer> left = ConcurrentHashMap.newKeySet();
  private final AtomicReference<String> failure = new AtomicReference<>();
  private final CountDownLatch failed = new CountDownLatch(1);
  private final Listener listener;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread atExit = new Thread(this::awaitReason, "heartbeat end");
  private volatile boolean noticed;
  private volatile boolean done;

  /**
   * Receives failures on the heartbeat's own thread, in case the rank's thread cannot react in
   * time.
   */
  public interface Listener {
    /**
     * Another rank is lost. Called immediately, because the launcher may kill this process within a
     * second.
     */
    void lost(String reason);

    /**
     * The world failed one timeout ago and the rank has not noticed: it may be stuck in a call that
     * cannot be interrupted.
     */
    void unnoticed(String reason);
  }

  private static final class Line {
    private final Socket socket;
    private final DataOutputStream out;
    private volatile long lastMessage = System.nanoTime();
    private volatile Thread ear;

    Line(Socket socket) {
      try {
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(0);
        this.socket = socket;
        this.out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
      } catch (IOException e) {
        throw new CommunicationException(
            "a rank closed its connection at once: " + e.getMessage(), e);
      }
    }

    /** Writes the message in one piece, because several threads write to the connection. */
    synchronized void say(int kind, int number, String words) {
      try {
        out.writeByte(kind);
        out.writeInt(number);
        out.writeUTF(words);
        out.flush();
      } catch (IOException _) {
        // The thread that reads from this connection reports that it broke.
      }
    }

    void sayNoMore() {
      try {
        socket.shutdownOutput();
      } catch (IOException _) {
        // It has ended already.
      }
    }

    /** Waits until the other side has closed the connection, then closes it. */
    void close(Duration most) {
      try (socket) {
        ear.join(most);
      } catch (IOException _) {
        // No data in flight can be lost.
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private Heartbeat(int rank, int size, Duration timeout, Listener listener, boolean goodbye) {
    this.goodbye = goodbye;
    this.rank = rank;
    this.size = size;
    this.timeout = timeout;
    this.listener = listener;
  }

  /**
   * Over existing connections.
   *
   * @param star by rank: rank 0 has all others, the others have rank 0; this object closes them
   * @param timeout after which a silent rank counts as frozen
   * @param goodbye whether the ranks call {@link #end} when they are done
   */
  public static Heartbeat over(
      Map<Integer, Socket> star,
      int rank,
      int size,
      Duration timeout,
      boolean goodbye,
      Listener listener) {
    Heartbeat heartbeat = new Heartbeat(rank, size, timeout, listener, goodbye);
    return size == 1 ? heartbeat : heartbeat.over(star);
  }

  private Heartbeat over(Map<Integer, Socket> star) {
    star.forEach((peer, socket) -> lines.put(peer, new Line(socket)));
    lines.forEach((peer, line) -> line.ear = Thread.startVirtualThread(() -> hear(peer, line)));
    Thread.ofPlatform().daemon().name("heartbeat").start(this::beat);
    Runtime.getRuntime().addShutdownHook(atExit);
    return this;
  }

  /** Why the world has failed; null as long as it has not. */
  public String failure() {
    String reason = failure.get();
    if (reason != null) {
      noticed = true;
    }
    return reason;
  }

  /** Whether the rank has closed the world. */
  public boolean hasLeft(int peer) {
    return left.contains(peer);
  }

  /** Whether every other rank has closed the world. */
  public boolean allLeft() {
    return left.size() >= size - 1;
  }

  /**
   * Fails the world for this reason, unless it has failed before.
   *
   * @return the reason that all ranks give
   */
  public String fail(String why) {
    String reason = why.substring(0, Math.min(why.length(), LONGEST_REASON));
    if (rank != 0 && lines.containsKey(0)) {
      lines.get(0).say(FAILED, rank, reason);
      awaitFailure(Duration.ofMillis(VERDICT_MILLIS));
    }
    decide(FAILED, reason);
    return failure();
  }

  /** Waits until the world has failed, at most {@code most}; an interrupt does not end the wait. */
  public void awaitFailure(Duration most) {
    long end = System.nanoTime() + most.toNanos();
    boolean interrupted = Thread.interrupted();
    while (failed.getCount() > 0 && System.nanoTime() - end < 0) {
      try {
        failed.await(end - System.nanoTime(), TimeUnit.NANOSECONDS);
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Reports to the others that this rank is done with the world. */
  public void leave() {
    done = true;
    lines.values().forEach(line -> line.say(LEFT, rank, ""));
  }

  /**
   * Closes the connections of a process that continues, after all ranks have left or the world has
   * failed. Rank 0 closes last, because the others learn through it that all have left.
   */
  public void end() {
    if (failure.get() != null) {
      awaitFailure(timeout); // another thread may still be telling the others
    }
    done = true;
    ended.countDown();
    for (Line line : lines.values()) {
      if (rank == 0 && failure.get() == null) {
        line.say(ALL_LEFT, 0, "");
      }
      line.sayNoMore();
    }
    long deadline = System.nanoTime() + LAST_MOMENT.toNanos();
    for (Line line : lines.values()) {
      line.close(rank == 0 ? Duration.ofNanos(deadline - System.nanoTime()) : Duration.ZERO);
    }
    if (!lines.isEmpty()) {
      try {
        Runtime.getRuntime().removeShutdownHook(atExit);
      } catch (IllegalStateException _) {
        // The process is ending.
      }
    }
  }

  /**
   * @param kind of the failure: {@link #FAILED} or {@link #LOST}
   */
  private void decide(int kind, String reason) {
    if (failure.compareAndSet(null, reason)) {
      if (rank == 0) {
        lines.values().forEach(line -> line.say(kind, 0, reason));
      }
      failed.countDown();
      if (kind == LOST) {
        listener.lost(reason);
      }
    }
  }

  /**
   * On SIGTERM this rank waits until it knows which rank died: a launcher ends all ranks when one
   * dies, and a rank that exits immediately would be blamed for the failure.
   */
  private void awaitReason() {
    if (!done) {
      awaitFailure(LAST_MOMENT);
    }
  }

  private void hear(int peer, Line line) {
    try (Socket socket = line.socket) {
      DataInputStream in = new DataInputStream(socket.getInputStream());
      try {
        hear(in, line);
      } catch (StreamCorruptedException e) {
        String reason =
            Words.of("rank %s lost the connection to rank %s: %s", rank, peer, e.getMessage());
        if (rank != 0) {
          line.say(FAILED, rank, reason);
        }
        decide(LOST, reason);
        in.transferTo(OutputStream.nullOutputStream()); // the other side still hears the reason
      }
    } catch (IOException _) {
      if (!left.contains(peer) || goodbye && peer == 0 && !allLeft()) {
        decide(LOST, "rank " + peer + " is gone: its process ended or was killed");
      }
    }
  }

  private void hear(DataInputStream in, Line line) throws IOException {
    for (; ; ) {
      int kind = in.readByte();
      int number = in.readInt();
      String words = in.readUTF();
      line.lastMessage = System.nanoTime();
      switch (kind) {
        case LEFT -> {
          // Reports to the others first: rank 0 closes its connections once it knows that all
          // have left.
          lines.forEach(
              (other, to) -> {
                if (rank == 0 && other != number) {
                  to.say(LEFT, number, "");
                }
              });
          left.add(number);
        }
        case ALL_LEFT -> everyoneHasLeft();
        case FAILED, LOST -> decide(kind, words);
        default -> {}
      }
    }
  }

  private void everyoneHasLeft() {
    IntStream.range(0, size).filter(other -> other != rank).forEach(left::add);
  }

  private void beat() {
    long pause = Math.clamp(timeout.toMillis() / 10, 10, 1000);
    try {
      while (failure.get() == null) {
        if (ended.await(pause, TimeUnit.MILLISECONDS)) {
          return;
        }
        long now = System.nanoTime();
        lines.forEach(
            (peer, line) -> {
              line.say(ALIVE, rank, "");
              if (now - line.lastMessage > timeout.toNanos() && !left.contains(peer)) {
                decide(
                    LOST,
                    Words.of(
                        "rank %s has been silent for %s s: it is frozen or cannot be reached",
                        peer, timeout.toMillis() / 1e3));
              }
            });
      }
      if (!ended.await(timeout.toMillis(), TimeUnit.MILLISECONDS) && !noticed) {
        listener.unnoticed(failure.get());
      }
    } catch (InterruptedException e) {
      throw new AssertionError("nobody interrupts this thread", e);
    }
  }
}
