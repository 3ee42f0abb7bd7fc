package panamoe.comm.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.StreamCorruptedException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import panamoe.comm.CollectiveMismatch;
import panamoe.comm.CommunicationException;
import panamoe.comm.MachineAddresses;
import panamoe.io.Words;

/**
 * How the ranks find each other: rank 0 listens at an address that all ranks know; the others
 * connect to it and receive from it what they need to connect to each other. Used by one thread.
 */
public final class TcpRendezvous {
  private static final int SECRET_BITS = 128;
  private static final int CONNECT_MILLIS = 2000;
  private static final int PAUSE_MILLIS = 100;
  // Added to the patience: the others wait for the message of rank 0, which knows who is missing.
  private static final int VERDICT_MILLIS = 2000;
  private static final int LONGEST_SENTENCE = 10_000;
  private static final int LONGEST_MESSAGE = 1 << 16; // a rank's addresses are shorter

  private final TcpRank self;
  private final Duration patience;
  private final Map<Integer, Socket> ranks = new ConcurrentHashMap<>();
  private volatile boolean closed;

  private TcpRendezvous(TcpRank self, Duration patience) {
    this.self = self;
    this.patience = patience;
  }

  /**
   * Waits for all ranks; collective.
   *
   * @throws CommunicationException in one sentence, if not all ranks connect in time
   */
  static TcpRendezvous of(TcpRank self, Handshake handshake, Duration patience) {
    try (ServerSocket server = self.rank() == 0 ? SealedSocket.server() : null) {
      if (server != null) {
        InetAddress address = InetAddress.getByName(self.host());
        // The host may name a load balancer, or an address outside of a container.
        server.bind(
            address.isLoopbackAddress()
                ? new InetSocketAddress(address, self.port())
                : new InetSocketAddress(self.port()),
            Entrance.BACKLOG);
      }
      return new TcpRendezvous(self, patience).open(handshake, server, List.of(self.host()));
    } catch (IOException e) {
      throw new CommunicationException(
          "rank 0 cannot listen at " + self.host() + ":" + self.port() + ": " + e.getMessage(), e);
    }
  }

  /**
   * Connects the ranks of a launcher that can broadcast where rank 0 listens; collective.
   *
   * @param broadcast gives every rank rank 0's bytes
   * @return by rank: rank 0 has all others, the others have rank 0
   * @throws CommunicationException in one sentence, if not all ranks connect in time
   */
  public static Map<Integer, Socket> connect(
      int rank, int size, Duration patience, UnaryOperator<byte[]> broadcast) {
    byte[] mine = null;
    try (ServerSocket server = rank == 0 ? SealedSocket.server() : null) {
      if (server != null) {
        server.bind(null, Entrance.BACKLOG);
        String secret =
            new BigInteger(SECRET_BITS, new SecureRandom()).setBit(SECRET_BITS).toString(16);
        String hosts = String.join(" ", MachineAddresses.all());
        mine = (secret + " " + server.getLocalPort() + " " + hosts).getBytes(UTF_8);
      }
      List<String> offered = List.of(new String(broadcast.apply(mine), UTF_8).split(" "));
      List<String> hosts = offered.subList(2, offered.size());
      TcpRank self =
          new TcpRank(
              rank,
              size,
              hosts.getFirst(),
              Integer.parseInt(offered.get(1)),
              offered.get(0),
              false);
      TcpRendezvous all =
          new TcpRendezvous(self, patience).open(new Handshake(self, patience), server, hosts);
      all.barrier();
      return all.ranks;
    } catch (IOException e) {
      throw new CommunicationException("rank 0 cannot listen: " + e.getMessage(), e);
    }
  }

  /**
   * @param server of rank 0; null on the others, which connect to {@code hosts}
   */
  private TcpRendezvous open(Handshake handshake, ServerSocket server, List<String> hosts)
      throws IOException {
    try {
      long end = System.nanoTime() + patience.toNanos();
      if (self.rank() == 0) {
        listen(server, handshake, end);
      } else {
        connect(hosts, handshake, end);
      }
      return this;
    } catch (IOException | RuntimeException | Error e) {
      fail(e);
      throw e;
    }
  }

  private void listen(ServerSocket server, Handshake handshake, long end) throws IOException {
    server.setSoTimeout(PAUSE_MILLIS);
    try (Entrance entrance = new Entrance(self, handshake)) {
      while (ranks.size() < self.size() - 1) {
        if (System.nanoTime() - end > 0) {
          throw new CommunicationException(missing(entrance.refused()));
        }
        requireUninterrupted();
        try {
          Socket socket = server.accept();
          entrance.admit(socket, peer -> welcome(peer, (SealedSocket) socket));
        } catch (SocketTimeoutException _) {
          // Time to look at the clock.
        } catch (SocketException _) {
          pause(); // a flood takes all of the process's files: until strangers leave
        }
      }
    }
  }

  private void welcome(Handshake.Peer peer, SealedSocket socket) throws IOException {
    socket.setSoTimeout(patienceMillis());
    socket.seal(peer.keys());
    ranks.put(peer.rank(), socket);
    if (closed) {
      Handshake.close(socket);
    }
  }

  private int patienceMillis() {
    return (int) Math.min(Integer.MAX_VALUE - VERDICT_MILLIS, patience.toMillis());
  }

  private String missing(String refused) {
    List<Integer> late =
        IntStream.range(1, self.size()).filter(rank -> !ranks.containsKey(rank)).boxed().toList();
    String sentence =
        CollectiveMismatch.words(late)
            + Words.of(
                " did not connect to rank 0 at %s:%d within %.1f s",
                self.host(), self.port(), patience.toMillis() / 1e3);
    return refused == null ? sentence : sentence + "; refused: " + refused;
  }

  private void connect(List<String> hosts, Handshake handshake, long end) {
    String said = null;
    for (int i = 0; ; i = (i + 1) % hosts.size()) {
      SealedSocket socket = new SealedSocket();
      try {
        // Resolved at each try: the name may appear only when its machine starts.
        socket.connect(new InetSocketAddress(hosts.get(i), self.port()), CONNECT_MILLIS);
        Handshake.Keys keys = handshake.connect(socket, 0);
        socket.setSoTimeout(Math.addExact(patienceMillis(), VERDICT_MILLIS));
        socket.seal(keys);
        ranks.put(0, socket);
        return;
      } catch (CommunicationException e) {
        Handshake.close(socket);
        throw e;
      } catch (IOException e) {
        // Who answers may be a stranger, and rank 0 may still come.
        Handshake.close(socket);
        if (e instanceof Handshake.Refused && !e.getMessage().equals(said)) {
          said = e.getMessage();
          System.getLogger(TcpRendezvous.class.getName())
              .log(System.Logger.Level.WARNING, said + "; it tries again");
        }
        if (System.nanoTime() - end > 0) {
          throw new CommunicationException(
              Words.of(
                  "rank %d cannot reach rank 0 at %s:%d within %.1f s: %s",
                  self.rank(),
                  String.join(" or ", hosts),
                  self.port(),
                  patience.toMillis() / 1e3,
                  said != null ? said : e.getMessage()),
              e);
        }
        if (i == hosts.size() - 1) {
          pause();
        }
      }
    }
  }

  private void pause() {
    try {
      Thread.sleep(PAUSE_MILLIS);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      requireUninterrupted();
    }
  }

  private void requireUninterrupted() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CommunicationException(
          "rank " + self.rank() + " was interrupted while it waited for the others");
    }
  }

  /** Rank 0's bytes, on every rank; the others' argument is ignored. */
  byte[] broadcast(byte[] bytes) {
    if (self.rank() != 0) {
      return read(0);
    }
    ranks.keySet().forEach(rank -> write(rank, bytes));
    return bytes;
  }

  /** All ranks' bytes, by rank. */
  List<byte[]> allGather(byte[] mine) {
    List<byte[]> all = new ArrayList<>();
    if (self.rank() != 0) {
      write(0, mine);
    }
    for (int rank = 0; rank < self.size(); rank++) {
      byte[] bytes = self.rank() != 0 ? null : rank == 0 ? mine : read(rank);
      all.add(bytes);
    }
    for (int rank = 0; rank < self.size(); rank++) {
      all.set(rank, broadcast(all.get(rank)));
    }
    return all;
  }

  void barrier() {
    allGather(new byte[0]);
  }

  /** The address from which a rank has connected; known on rank 0 only. */
  String seenAt(int rank) {
    return ranks.get(rank).getInetAddress().getHostAddress();
  }

  /** Hands the connections over after the last message: rank 0 has all, the others have rank 0. */
  Map<Integer, Socket> connections() {
    return ranks;
  }

  private void write(int rank, byte[] bytes) {
    try {
      DataOutputStream out = new DataOutputStream(ranks.get(rank).getOutputStream());
      out.writeInt(bytes.length);
      out.write(bytes);
    } catch (IOException e) {
      throw lost(rank, e);
    }
  }

  private byte[] read(int rank) {
    try {
      DataInputStream in = new DataInputStream(ranks.get(rank).getInputStream());
      int length = in.readInt();
      if (length < 0) {
        byte[] sentence = in.readNBytes(-Math.max(-LONGEST_SENTENCE, length));
        throw new CommunicationException(new String(sentence, UTF_8));
      }
      if (length > LONGEST_MESSAGE) {
        throw new StreamCorruptedException("it sent a message of " + length + " bytes");
      }
      byte[] bytes = new byte[length];
      in.readFully(bytes);
      return bytes;
    } catch (IOException e) {
      throw lost(rank, e);
    }
  }

  private CommunicationException lost(int rank, IOException e) {
    return new CommunicationException(
        Words.of(
            "rank %s lost rank %s while all were connecting: %s",
            self.rank(), rank, e instanceof EOFException ? "it is gone" : e.getMessage()),
        e);
  }

  /**
   * Ends the rendezvous and reports why: rank 0 to all connected ranks, another rank to rank 0. A
   * rank that only loses its connection would blame the rank at the other end.
   */
  void fail(Throwable why) {
    closed = true;
    byte[] sentence = String.valueOf(why.getMessage()).getBytes(UTF_8);
    int length = Math.min(LONGEST_SENTENCE, sentence.length);
    for (Socket socket : ranks.values()) {
      try {
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeInt(-length);
        out.write(sentence, 0, length);
        socket.shutdownOutput();
      } catch (IOException _) {
        // It has failed already.
      }
      Handshake.close(socket);
    }
  }
}
