package panamoe.comm;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import panamoe.io.Words;

/**
 * TCP connections between rank 0 and every other rank. A token keeps out connections from anywhere
 * else.
 */
final class Star {
  private static final int TOKEN_BYTES = 16;
  private static final int CONNECT_MILLIS = 2000;
  private static final int WELCOME = 1;

  private Star() {}

  /**
   * Connects all ranks; collective.
   *
   * @param patience how long rank 0 waits for all
   * @param broadcast gives every rank rank 0's bytes
   * @return by rank: rank 0 has all others, the others have rank 0
   * @throws CommunicationException if a rank is missing
   */
  static Map<Integer, Socket> connect(
      int rank, int size, Duration patience, UnaryOperator<byte[]> broadcast) {
    return rank == 0
        ? listen(size, patience, broadcast)
        : Map.of(0, connect(rank, new String(broadcast.apply(null), StandardCharsets.UTF_8)));
  }

  private static Map<Integer, Socket> listen(
      int size, Duration patience, UnaryOperator<byte[]> broadcast) {
    byte[] token = new byte[TOKEN_BYTES];
    new SecureRandom().nextBytes(token);
    Map<Integer, Socket> ranks = new HashMap<>();
    try (ServerSocket server = new ServerSocket(0, size)) {
      StringBuilder address = new StringBuilder(HexFormat.of().formatHex(token));
      address.append(' ').append(server.getLocalPort());
      MachineAddresses.all().forEach(host -> address.append(' ').append(host));
      broadcast.apply(address.toString().getBytes(StandardCharsets.UTF_8));
      long deadline = System.nanoTime() + patience.toNanos();
      while (ranks.size() < size - 1) {
        server.setSoTimeout(
            Math.clamp((deadline - System.nanoTime()) / 1_000_000, 1, Integer.MAX_VALUE));
        accept(server.accept(), token, size, ranks);
      }
      return ranks;
    } catch (IOException e) {
      throw new CommunicationException(
          Words.of(
              "rank 0 heard from %s of %s other ranks by TCP: %s",
              ranks.size(), size - 1, e.getMessage()),
          e);
    }
  }

  private static void accept(Socket socket, byte[] token, int size, Map<Integer, Socket> ranks) {
    try {
      socket.setSoTimeout(CONNECT_MILLIS);
      DataInputStream in = new DataInputStream(socket.getInputStream());
      byte[] given = in.readNBytes(TOKEN_BYTES);
      int peer = in.readInt();
      if (MessageDigest.isEqual(token, given) && peer > 0 && peer < size) {
        socket.getOutputStream().write(WELCOME);
        socket.setSoTimeout(0);
        ranks.put(peer, socket);
        return;
      }
    } catch (IOException _) {
      // A foreign connection, or a rank that will notice the failure itself.
    }
    close(socket);
  }

  private static Socket connect(int rank, String address) {
    String[] parts = address.split(" ");
    byte[] token = HexFormat.of().parseHex(parts[0]);
    List<String> tried = List.of(parts).subList(2, parts.length);
    for (String host : tried) {
      Socket socket = new Socket();
      try {
        socket.connect(new InetSocketAddress(host, Integer.parseInt(parts[1])), CONNECT_MILLIS);
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.write(token);
        out.writeInt(rank);
        out.flush();
        socket.setSoTimeout(CONNECT_MILLIS);
        // The answer shows that this is rank 0, and not another machine's service under the same
        // address.
        if (socket.getInputStream().read() == WELCOME) {
          socket.setSoTimeout(0);
          return socket;
        }
      } catch (IOException _) {
        // The next address may be the right one.
      }
      close(socket);
    }
    throw new CommunicationException(
        "rank " + rank + " cannot reach rank 0 by TCP under any of its addresses " + tried);
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException _) {
      // Nothing was sent over it that could be lost.
    }
  }
}
