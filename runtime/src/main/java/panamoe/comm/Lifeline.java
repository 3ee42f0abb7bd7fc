package panamoe.comm;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
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
  private static final int TOKEN_BYTES = 16;
  private static final int CONNECT_MILLIS = 2000;
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

    Line(Socket socket) throws IOException {
      socket.setTcpNoDelay(true);
      this.socket = socket;
      this.out = new DataOutputStream(socket.getOutputStream());
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
    if (rank == 0) {
      lifeline.listen(patience, broadcast);
    } else {
      lifeline.connect(new String(broadcast.apply(null), StandardCharsets.UTF_8));
    }
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
  public String fail(String reason) {
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

  private void listen(Duration patience, UnaryOperator<byte[]> broadcast) {
    byte[] token = new byte[TOKEN_BYTES];
    new SecureRandom().nextBytes(token);
    try (ServerSocket server = new ServerSocket(0, size)) {
      StringBuilder address = new StringBuilder(HexFormat.of().formatHex(token));
      address.append(' ').append(server.getLocalPort());
      addresses().forEach(host -> address.append(' ').append(host));
      broadcast.apply(address.toString().getBytes(StandardCharsets.UTF_8));
      long deadline = System.nanoTime() + patience.toNanos();
      while (lines.size() < size - 1) {
        server.setSoTimeout((int) Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
        accept(server.accept(), token);
      }
    } catch (IOException e) {
      throw new CommunicationException(
          "rank 0 heard from " + lines.size() + " of " + (size - 1) + " other ranks by TCP: " + e.getMessage(), e);
    }
  }

  /** Whoever does not know the token within a moment is no rank of ours. */
  private void accept(Socket socket, byte[] token) {
    try {
      socket.setSoTimeout(CONNECT_MILLIS);
      DataInputStream in = new DataInputStream(socket.getInputStream());
      byte[] given = in.readNBytes(TOKEN_BYTES);
      int peer = in.readInt();
      if (MessageDigest.isEqual(token, given) && peer > 0 && peer < size) {
        socket.setSoTimeout(0);
        Line line = new Line(socket);
        line.say(ALIVE, 0, "");
        lines.put(peer, line);
        return;
      }
    } catch (IOException _) {
      // A stranger, or a rank that will find out by itself.
    }
    close(socket);
  }

  private void connect(String address) {
    String[] parts = address.split(" ");
    byte[] token = HexFormat.of().parseHex(parts[0]);
    List<String> tried = List.of(parts).subList(2, parts.length);
    for (String host : tried) {
      Socket socket = new Socket();
      try {
        lines.put(0, reach(socket, new InetSocketAddress(host, Integer.parseInt(parts[1])), token));
        return;
      } catch (IOException _) {
        close(socket);
      }
    }
    throw new CommunicationException(
        "rank " + rank + " cannot reach rank 0 by TCP under any of its addresses " + tried);
  }

  private Line reach(Socket socket, InetSocketAddress address, byte[] token) throws IOException {
    socket.connect(address, CONNECT_MILLIS);
    Line line = new Line(socket);
    line.out.write(token);
    line.out.writeInt(rank);
    line.out.flush();
    socket.setSoTimeout(CONNECT_MILLIS);
    // The first message shows that this is rank 0, and not another machine's service under the same address.
    DataInputStream in = new DataInputStream(socket.getInputStream());
    if (in.readByte() != ALIVE || in.readInt() != 0 || !in.readUTF().isEmpty()) {
      throw new IOException("not rank 0");
    }
    socket.setSoTimeout(0);
    return line;
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException _) {
      // Nothing was said over it that could be lost.
    }
  }

  /** Addresses of this machine, the loopback first: it is the nearest, and no one else's machine answers there. */
  private static List<String> addresses() throws IOException {
    List<String> addresses = new ArrayList<>();
    for (NetworkInterface device : Collections.list(NetworkInterface.getNetworkInterfaces())) {
      if (device.isUp()) {
        for (InetAddress address : Collections.list(device.getInetAddresses())) {
          if (!address.isLinkLocalAddress()) {
            addresses.add(device.isLoopback() ? 0 : addresses.size(), address.getHostAddress());
          }
        }
      }
    }
    return addresses;
  }
}
