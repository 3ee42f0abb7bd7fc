package panamoe.engine.routes;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Map;
import java.util.zip.CRC32C;
import panamoe.io.Sha256;

/**
 * The bytes of a {@link RouteFile}. A record: rows R, the sequence's name, for each row and layer K
 * experts and K weights, a checksum.
 */
record RouteFormat(RouteLayout layout) {
  private static final String MAGIC = "panamoe routes 1\n";
  private static final int DIGEST = 32;

  /** Bytes of a record before its routes. */
  static final int BEFORE = Integer.BYTES + DIGEST;

  /** The first bytes of a file of routes of a model. */
  byte[] header(int vocabulary) {
    ByteBuffer header = little(MAGIC.length() + Integer.BYTES * (2 + 3 * layout.layers().size()));
    header.put(MAGIC.getBytes(US_ASCII)).putInt(vocabulary).putInt(layout.layers().size());
    for (RoutedLayer each : layout.layers()) {
      header.putInt(each.layer()).putInt(each.experts()).putInt(each.topK());
    }
    return header.array();
  }

  /** Whether a file of some model may begin like this. */
  static boolean begins(byte[] header) {
    return new String(header, US_ASCII).startsWith(MAGIC);
  }

  /** Bytes of a record of {@code rows}. */
  long bytes(int rows) {
    int choices = layout.layers().stream().mapToInt(RoutedLayer::topK).sum();
    return BEFORE + (long) rows * choices * (Short.BYTES + Float.BYTES) + Integer.BYTES;
  }

  /** The rows of the record that begins with these bytes. */
  static int rows(byte[] before) {
    return ByteBuffer.wrap(before).order(ByteOrder.LITTLE_ENDIAN).getInt();
  }

  /** The name of the sequence in the record that begins with these bytes. */
  static ByteBuffer name(byte[] record) {
    return ByteBuffer.wrap(Arrays.copyOfRange(record, Integer.BYTES, BEFORE));
  }

  /** The record of a sequence. */
  byte[] record(SequenceRoutes sequence) {
    int rows = sequence.rows().size();
    ByteBuffer record = little(Math.toIntExact(bytes(rows)));
    MessageDigest tokens = Sha256.digest();
    add(tokens, sequence.tokens(), 0, rows);
    record.putInt(rows).put(name(tokens));
    for (float[] row : sequence.rows()) {
      for (int i = 0; i < layout.layers().size(); i++) {
        int topK = layout.layers().get(i).topK();
        for (int k = 0; k < topK; k++) {
          record.putShort((short) layout.expert(row, i, k));
        }
        for (int k = 0; k < topK; k++) {
          record.putFloat(layout.weight(row, i, k));
        }
      }
    }
    return record.putInt(checksum(record)).array();
  }

  /**
   * Reads the experts of a record.
   *
   * @param experts by layer, [S * K]
   * @param from the first of its rows
   * @return whether the record is undamaged
   */
  boolean read(byte[] bytes, Map<Integer, int[]> experts, int from) {
    ByteBuffer record = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    record.position(bytes.length - Integer.BYTES);
    boolean sound = checksum(record) == record.getInt();
    record.position(BEFORE);
    for (int row = from; sound && row < from + rows(bytes); row++) {
      for (RoutedLayer layer : layout.layers()) {
        for (int k = 0; k < layer.topK(); k++) {
          int expert = record.getShort();
          sound &= expert >= 0 && expert < layer.experts();
          experts.get(layer.layer())[row * layer.topK() + k] = expert;
        }
        record.position(record.position() + layer.topK() * Float.BYTES);
      }
    }
    return sound;
  }

  /** Adds tokens to those that name a sequence. */
  static void add(MessageDigest name, int[] tokens, int from, int to) {
    ByteBuffer bytes = little((to - from) * Integer.BYTES);
    bytes.asIntBuffer().put(tokens, from, to - from);
    name.update(bytes.array());
  }

  /** The name of the tokens so far; more may be added. */
  static ByteBuffer name(MessageDigest tokens) {
    try {
      return ByteBuffer.wrap(((MessageDigest) tokens.clone()).digest());
    } catch (CloneNotSupportedException e) {
      throw new IllegalStateException(e); // the JDK's digests are copied
    }
  }

  /** Of the bytes before its position. */
  private static int checksum(ByteBuffer record) {
    CRC32C checksum = new CRC32C();
    checksum.update(record.array(), 0, record.position());
    return (int) checksum.getValue();
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
