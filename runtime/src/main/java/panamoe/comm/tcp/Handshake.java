package panamoe.comm.tcp;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.function.IntPredicate;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.SecretKeySpec;
import panamoe.comm.CommunicationException;
import panamoe.comm.LauncherVariables;
import panamoe.io.Words;

/**
 * The handshake when one rank connects to another: both greet, then prove that they know the
 * secret, without sending it. A proof is the HMAC-SHA256 of both greetings (ranks, sizes, nonces
 * and whether a rank encrypts) and the answer. The connecting side proves first, so that a stranger
 * who connects gets no proof for a dictionary attack. Until the other side has proved itself,
 * nothing that it says ends a run, and it can send 65 bytes. Thread-safe.
 */
final class Handshake {
  /** The other side does not belong to the world, or its rank is not expected. */
  static final class Refused extends IOException {
    Refused(String sentence) {
      super(sentence);
    }
  }

  /** One key for each direction of a connection. */
  record Keys(SecretKey outgoing, SecretKey incoming) {}

  /**
   * A rank that has connected.
   *
   * @param keys null if the ranks do not encrypt
   */
  record Peer(int rank, Keys keys) {}

  /** Both sides' first messages. */
  private record Greetings(byte[] connecting, byte[] accepting) {
    boolean differ() {
      ByteBuffer one = ByteBuffer.wrap(connecting);
      ByteBuffer other = ByteBuffer.wrap(accepting);
      return one.getInt(SIZE) != other.getInt(SIZE) || one.get(ENCRYPTS) != other.get(ENCRYPTS);
    }

    /** How the settings of two ranks that know the secret differ. */
    String difference() {
      ByteBuffer one = ByteBuffer.wrap(connecting);
      ByteBuffer other = ByteBuffer.wrap(accepting);
      if (one.getInt(SIZE) != other.getInt(SIZE)) {
        return Words.of(
            "rank %s is of %s ranks, but rank %s of %s",
            one.getInt(RANK), one.getInt(SIZE), other.getInt(RANK), other.getInt(SIZE));
      }
      boolean connectingEncrypts = one.get(ENCRYPTS) != 0;
      return Words.of(
          "rank %s encrypts, but rank %s does not: set %s to the same value on all ranks",
          (connectingEncrypts ? one : other).getInt(RANK),
          (connectingEncrypts ? other : one).getInt(RANK),
          LauncherVariables.ENCRYPT);
    }

    byte[] bytes() {
      return ByteBuffer.allocate(2 * GREETING_BYTES).put(connecting).put(accepting).array();
    }
  }

  private static final long GREETING = 0x50414e414d4f4502L; // PANAMOE, version 2
  private static final int RANDOM_BYTES = 16;
  // Where a greeting has its parts.
  private static final int RANK = Long.BYTES;
  private static final int SIZE = RANK + Integer.BYTES;
  private static final int ENCRYPTS = SIZE + Integer.BYTES;
  private static final int RANDOM = ENCRYPTS + 1;
  private static final int GREETING_BYTES = RANDOM + RANDOM_BYTES;
  private static final int PROOF_BYTES = 32;
  // A side that has not proved itself by then is not a rank.
  private static final Duration PATIENCE = Duration.ofSeconds(10);
  // The accepting side's answers; the fourth to a rank whose number another process has.
  private static final byte KNOWN = 1;
  private static final byte ANOTHER_SECRET = 2;
  private static final byte DIFFERENT = 3;
  private static final byte TAKEN = 4;
  private static final byte NO_ANSWER = 0; // in the connecting side's proof

  private final SecretKeySpec secret;
  private final TcpRank self;
  private final Duration patience;
  private final SecureRandom random = new SecureRandom();

  /**
   * @param patience how long the other side may take at most
   */
  Handshake(TcpRank self, Duration patience) {
    this.secret = new SecretKeySpec(self.secret().getBytes(StandardCharsets.UTF_8), "HmacSHA256");
    this.self = self;
    this.patience = Collections.min(List.of(PATIENCE, patience));
  }

  /**
   * The accepting side.
   *
   * @param expected whether a rank that has proved itself is expected
   * @throws Refused if the other is no rank of this world
   */
  Peer accept(Socket socket, IntPredicate expected) throws IOException {
    long end = System.nanoTime() + patience.toNanos();
    OutputStream out = socket.getOutputStream();
    byte[] theirs = read(socket, GREETING_BYTES, end);
    if (ByteBuffer.wrap(theirs).getLong() != GREETING) {
      throw new Refused("a connection from " + socket.getInetAddress() + " is not from a rank");
    }
    int other = ByteBuffer.wrap(theirs).getInt(RANK);
    Greetings greetings = new Greetings(theirs, greeting());
    out.write(greetings.accepting);
    byte[] proof = read(socket, PROOF_BYTES, end);
    if (!MessageDigest.isEqual(proof, proof(NO_ANSWER, greetings))) {
      out.write(ANOTHER_SECRET);
      throw new Refused(
          Words.of(
              "a connection from %s as rank %s has another secret",
              socket.getInetAddress(), other));
    }
    byte answer = greetings.differ() ? DIFFERENT : expected.test(other) ? KNOWN : TAKEN;
    out.write(
        ByteBuffer.allocate(1 + PROOF_BYTES).put(answer).put(proof(answer, greetings)).array());
    if (answer == DIFFERENT) {
      throw new Refused(greetings.difference());
    }
    if (answer == TAKEN) {
      throw new Refused("a process claims to be rank " + other + ", too");
    }
    return new Peer(other, keys(greetings, false));
  }

  /**
   * The connecting side.
   *
   * @param expected the rank that it connects to
   * @return null if the ranks do not encrypt
   * @throws Refused if the other side does not prove that it is this rank, or has a connection of
   *     this process's rank: of another process, or one that this process has given up
   * @throws CommunicationException if it is, but the settings differ: trying again is useless
   */
  Keys connect(Socket socket, int expected) throws IOException {
    long end = System.nanoTime() + patience.toNanos();
    OutputStream out = socket.getOutputStream();
    byte[] mine = greeting();
    out.write(mine);
    byte[] theirs = read(socket, GREETING_BYTES, end);
    if (ByteBuffer.wrap(theirs).getLong() != GREETING) {
      throw new Refused("the process that answers is not a rank");
    }
    int other = ByteBuffer.wrap(theirs).getInt(RANK);
    if (other != expected) {
      throw new Refused("rank " + other + " answered for rank " + expected);
    }
    Greetings greetings = new Greetings(mine, theirs);
    out.write(proof(NO_ANSWER, greetings));
    byte answer = read(socket, 1, end)[0];
    if (answer == NO_ANSWER
        || answer == ANOTHER_SECRET
        || !MessageDigest.isEqual(read(socket, PROOF_BYTES, end), proof(answer, greetings))) {
      throw new Refused(
          Words.of(
              "rank %s has another secret than the process that answers at %s",
              self.rank(), socket.getRemoteSocketAddress()));
    }
    if (greetings.differ()) {
      throw new CommunicationException(greetings.difference());
    }
    if (answer != KNOWN) {
      throw new Refused("another process is rank " + self.rank() + " already");
    }
    return keys(greetings, true);
  }

  /** Ends a connection over which nothing is sent any more. */
  static void close(Closeable connection) {
    try {
      connection.close();
    } catch (IOException _) {
      // It has failed already.
    }
  }

  private byte[] greeting() {
    byte[] nonce = new byte[RANDOM_BYTES];
    random.nextBytes(nonce);
    return ByteBuffer.allocate(GREETING_BYTES)
        .putLong(GREETING)
        .putInt(self.rank())
        .putInt(self.size())
        .put((byte) (self.encrypted() ? 1 : 0))
        .put(nonce)
        .array();
  }

  /** Reads {@code count} bytes; the last has to come before {@code end}. */
  private byte[] read(Socket socket, int count, long end) throws IOException {
    InputStream in = socket.getInputStream();
    byte[] bytes = new byte[count];
    for (int read = 0, more; read < count; read += more) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        throw late(socket);
      }
      socket.setSoTimeout((int) left);
      try {
        more = in.read(bytes, read, count - read);
      } catch (SocketTimeoutException _) {
        throw late(socket);
      }
      if (more < 0) {
        throw new EOFException("the connection ended before the handshake did");
      }
    }
    return bytes;
  }

  private Refused late(Socket socket) {
    return new Refused(
        Words.of(
            "%s did not prove within %s s that it is a rank",
            socket.getRemoteSocketAddress(), patience.toMillis() / 1e3));
  }

  private byte[] proof(byte answer, Greetings greetings) {
    try {
      Mac mac = Mac.getInstance(secret.getAlgorithm());
      mac.init(secret);
      mac.update(answer);
      return mac.doFinal(greetings.bytes());
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every JDK has HmacSHA256", e);
    }
  }

  private Keys keys(Greetings greetings, boolean connecting) {
    if (!self.encrypted()) {
      return null;
    }
    SecretKey there = Records.key(secret, greetings.bytes(), "panamoe connecting");
    SecretKey back = Records.key(secret, greetings.bytes(), "panamoe accepting");
    return connecting ? new Keys(there, back) : new Keys(back, there);
  }
}
