package panamoe.comm.tcp;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import panamoe.comm.CommunicationException;
import panamoe.io.Words;

/**
 * The handshake when one rank connects to another: both prove that they know the secret, without
 * sending it, and send their ranks. A proof is the HMAC-SHA256 of both sides' nonces, ranks and the
 * world's size. The connecting side proves first, so that a stranger who connects gets no proof for
 * a dictionary attack. Thread-safe.
 */
final class Handshake {
  /** The other side does not belong to the world, or its rank is not expected. */
  static final class Refused extends IOException {
    Refused(String sentence) {
      super(sentence);
    }
  }

  private static final long GREETING = 0x50414e414d4f4501L; // PANAMOE, version 1
  private static final int RANDOM_BYTES = 16;
  private static final int PROOF_BYTES = 32;
  // A side that is silent this long is not a rank.
  private static final int SILENCE_MILLIS = 5000;
  // What a side answers; the third to a rank whose number another process has.
  private static final int KNOWN = 1;
  private static final int ANOTHER_SECRET = 2;
  private static final int TAKEN = 3;
  private static final byte ACCEPTING = 'a';
  private static final byte CONNECTING = 'c';

  private final SecretKeySpec secret;
  private final int size;
  private final SecureRandom random = new SecureRandom();

  Handshake(TcpRank self) {
    this.secret = new SecretKeySpec(self.secret().getBytes(StandardCharsets.UTF_8), "HmacSHA256");
    this.size = self.size();
  }

  /**
   * The accepting side. {@link #welcome} ends it, if the rank is expected.
   *
   * @return the rank that has connected
   * @throws Refused if the other is no rank of this world
   */
  int accept(Socket socket, int rank) throws IOException {
    socket.setSoTimeout(SILENCE_MILLIS);
    DataInputStream in = new DataInputStream(socket.getInputStream());
    DataOutputStream out = new DataOutputStream(socket.getOutputStream());
    if (in.readLong() != GREETING) {
      throw new Refused("a connection from " + socket.getInetAddress() + " is not from a rank");
    }
    int other = in.readInt();
    byte[] theirs = in.readNBytes(RANDOM_BYTES);
    byte[] mine = new byte[RANDOM_BYTES];
    random.nextBytes(mine);
    out.write(
        ByteBuffer.allocate(Long.BYTES + 2 * Integer.BYTES + RANDOM_BYTES)
            .putLong(GREETING)
            .putInt(rank)
            .putInt(size)
            .put(mine)
            .array());
    byte[] proof = in.readNBytes(PROOF_BYTES);
    if (proof.length < PROOF_BYTES) {
      throw new Refused("rank " + other + " left before it proved that it knows the secret");
    }
    if (!MessageDigest.isEqual(proof, proof(CONNECTING, rank, other, theirs, mine))) {
      out.write(ANOTHER_SECRET);
      throw new Refused(
          Words.of(
              "a connection from %s as rank %s has another secret",
              socket.getInetAddress(), other));
    }
    out.write(KNOWN);
    out.write(proof(ACCEPTING, rank, other, theirs, mine));
    return other;
  }

  /** Answers a rank that another process already has its number. */
  static void refuse(Socket socket) throws IOException {
    socket.getOutputStream().write(TAKEN);
  }

  /** Answers a rank that it is expected. */
  static void welcome(Socket socket) throws IOException {
    socket.getOutputStream().write(KNOWN);
  }

  /**
   * The connecting side.
   *
   * @param rank of this process
   * @param expected the rank that it connects to
   * @throws Refused if another rank answers, or it does not expect this one
   * @throws CommunicationException if the secrets or the numbers of ranks differ, or another
   *     process is this rank: trying again is useless
   */
  void connect(Socket socket, int rank, int expected) throws IOException {
    socket.setSoTimeout(SILENCE_MILLIS);
    DataInputStream in = new DataInputStream(socket.getInputStream());
    DataOutputStream out = new DataOutputStream(socket.getOutputStream());
    byte[] mine = new byte[RANDOM_BYTES];
    random.nextBytes(mine);
    out.write(
        ByteBuffer.allocate(Long.BYTES + Integer.BYTES + RANDOM_BYTES)
            .putLong(GREETING)
            .putInt(rank)
            .put(mine)
            .array());
    if (in.readLong() != GREETING) {
      throw new Refused("the process that answers is not a rank");
    }
    int other = in.readInt();
    int othersSize = in.readInt();
    byte[] theirs = in.readNBytes(RANDOM_BYTES);
    if (other != expected) {
      throw new Refused("rank " + other + " answered for rank " + expected);
    }
    if (othersSize != size) {
      throw new CommunicationException(
          "rank " + rank + " is of " + size + " ranks, but rank " + other + " of " + othersSize);
    }
    out.write(proof(CONNECTING, other, rank, mine, theirs));
    if (in.readByte() == ANOTHER_SECRET
        || !MessageDigest.isEqual(
            in.readNBytes(PROOF_BYTES), proof(ACCEPTING, other, rank, mine, theirs))) {
      throw new CommunicationException(
          "rank %s has another secret than the process that answers at %s",
          rank, socket.getRemoteSocketAddress());
    }
    int answer = in.read();
    if (answer == TAKEN) {
      throw new CommunicationException("another process is rank " + rank + " already");
    }
    if (answer != KNOWN) {
      throw new Refused("rank " + other + " refused rank " + rank);
    }
  }

  /** Ends a connection over which nothing is sent any more. */
  static void close(Closeable connection) {
    try {
      connection.close();
    } catch (IOException _) {
      // It has failed already.
    }
  }

  private byte[] proof(byte side, int accepting, int connecting, byte[] first, byte[] second) {
    try {
      Mac mac = Mac.getInstance(secret.getAlgorithm());
      mac.init(secret);
      mac.update(
          ByteBuffer.allocate(1 + 3 * Integer.BYTES)
              .put(side)
              .putInt(accepting)
              .putInt(connecting)
              .putInt(size)
              .flip());
      mac.update(first);
      return mac.doFinal(second);
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every JDK has HmacSHA256", e);
    }
  }
}
