package panamoe.comm;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * What ranks that are processes hold beside their collectives: connections by TCP, rank 0 in the middle, over which a
 * rank hears that another has died, is frozen, has left or aborts the world, while the collective it waits in would say
 * nothing. Rank 0 decides which failure came first, so that all give the same reason. Thread-safe.
 */
public final class Lifeline {
  private static final int LONGEST_REASON = 10_000;
  private static final int VERDICT_MILLIS = 1000;
  // What is said over a line: a kind, then a rank or a reason.
  private static final int ALIVE = 0;
  private static final int LEFT = 1;
  private static final int FAILED = 2;

  private final int rank;
  private final int size;
  private final Duration timeout;
  private final Map<Integer, Line> lines = new ConcurrentHashMap<>();
  private final Set<Integer> left = ConcurrentHashMap.newKeySet();
  private final AtomicReference<String> failure = new AtomicReference<>();
  private final CountDownLatch failed = new CountDownLatch(1);
  private final Consumer<String> lastResort;
  private volatile boolean noticed;

  private static final class Line {
    private final Socket socket;
    private final DataOutputStream out;
    private volatile long heard = System.nanoTime();

    Line(Socket socket) {
      try {
        socket.setTcpNoDelay(true);
        this.socket = socket;
        this.out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
      } catch (IOException e) {
        throw new CommunicationException("a rank closed its connection at once: " + e.getMessage(), e);
      }
    }

    /** One write a message: lines may be spoken into by several threads. */
    synchronized void say(int kind, int number, String words) {
      try {
        out.writeByte(kind);
        out.writeInt(number);
        out.writeUTF(words);
        out.flush();
      } catch (IOException _) {
        // Who reads the other direction of this line hears that it broke.
      }
    }
  }

  private Lifeline(int rank, int size, Duration timeout, Consumer<String> lastResort) {
    this.rank = rank;
    this.size = size;
    this.timeout = timeout;
    this.lastResort = lastResort;
  }

  /**
   * Connects all ranks; collective.
   *
   * @param patience how long connecting may take
   * @param timeout after which a silent rank is taken for frozen
   * @param broadcast gives every rank rank 0's bytes
   * @param lastResort gets the reason of a failure that the rank has not asked for within another timeout: it may be
   *     stuck where nothing wakes it
   * @throws CommunicationException if the ranks cannot be connected
   */
  public static Lifeline open(
      int rank,
      int size,
      Duration patience,
      Duration timeout,
      UnaryOperator<byte[]> broadcast,
      Consumer<String> lastResort) {
    Lifeline lifeline = new Lifeline(rank, size, timeout, lastResort);
    if (size == 1) {
      return lifeline;
    }
    Star.connect(rank, size, patience, broadcast)
        .forEach((peer, socket) -> lifeline.lines.put(peer, new Line(socket)));
    lifeline.lines.forEach((peer, line) -> Thread.ofVirtual().start(() -> lifeline.hear(peer, line)));
    Thread.ofPlatform().daemon().name("lifeline").start(lifeline::beat);
    return lifeline;
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
   * Lets the world fail, for this reason unless there is one already.
   *
   * @return the reason that all ranks give
   */
  public String fail(String why) {
    String reason = why.substring(0, Math.min(why.length(), LONGEST_REASON));
    if (rank != 0 && lines.containsKey(0)) {
      lines.get(0).say(FAILED, rank, reason);
      awaitFailure(Duration.ofMillis(VERDICT_MILLIS));
    }
    decide(reason);
    return failure();
  }

  /** Waits until the world has failed, at most so long. */
  public void awaitFailure(Duration most) {
    boolean interrupted = false;
    try {
      failed.await(most.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException _) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Tells the others that this rank is done with the world. */
  public void leave() {
    lines.values().forEach(line -> line.say(LEFT, rank, ""));
  }

  private void decide(String reason) {
    if (failure.compareAndSet(null, reason)) {
      failed.countDown();
      if (rank == 0) {
        lines.values().forEach(line -> line.say(FAILED, 0, reason));
      }
    }
  }

  private void hear(int peer, Line line) {
    try (Socket socket = line.socket) {
      DataInputStream in = new DataInputStream(socket.getInputStream());
      for (;;) {
        int kind = in.readByte();
        int number = in.readInt();
        String words = in.readUTF();
        line.heard = System.nanoTime();
        switch (kind) {
          case LEFT -> {
            left.add(number);
            if (rank == 0) {
              lines.forEach((other, to) -> {
                if (other != number) {
                  to.say(LEFT, number, "");
                }
              });
            }
          }
          case FAILED -> decide(words);
          default -> {}
        }
      }
    } catch (IOException _) {
      if (!left.contains(peer)) {
        decide("rank " + peer + " is gone: its process ended or was killed");
      }
    }
  }

  private void beat() {
    long pause = Math.clamp(timeout.toMillis() / 10, 10, 1000);
    try {
      while (failure.get() == null) {
        Thread.sleep(pause);
        long now = System.nanoTime();
        lines.forEach((peer, line) -> {
          line.say(ALIVE, rank, "");
          if (now - line.heard > timeout.toNanos() && !left.contains(peer)) {
            decide("rank %d has been silent for %.1f s: it is frozen or cannot be reached"
                .formatted(peer, timeout.toMillis() / 1e3));
          }
        });
      }
      Thread.sleep(timeout);
      if (!noticed) {
        lastResort.accept(failure.get());
      }
    } catch (InterruptedException e) {
      throw new AssertionError("nobody interrupts this thread", e);
    }
  }
}
