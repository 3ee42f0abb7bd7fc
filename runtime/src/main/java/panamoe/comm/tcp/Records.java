package panamoe.comm.tcp;

import java.io.StreamCorruptedException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.KDF;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.HKDFParameterSpec;

/**
 * One direction of an encrypted connection: records of a length, the encrypted bytes and a tag, by
 * AES-GCM. A record's nonce is its number, so that one that was changed, repeated, left out or
 * moved does not open. Its two buffers hold one record each. Not thread-safe.
 */
final class Records {
  private static final int KEY_BYTES = 16;
  private static final int NONCE_BYTES = 12;
  private static final int TAG_BYTES = 16;
  private static final String NEXT_KEY = "panamoe next key";
  // With one key 2^38 bytes stay indistinguishable from random ones, by TLS 1.3's margin.
  private static final long BYTES_PER_KEY = 1L << 38;

  /** The bytes to seal, or the opened bytes. */
  final ByteBuffer plain;

  /** The sealed record, or what has arrived of the next. */
  final ByteBuffer sealed;

  private final int mode;
  private final Cipher cipher;
  private final byte[] nonce = new byte[NONCE_BYTES];
  private final long perKey;
  private SecretKey key;
  private long number;

  private Records(int mode, SecretKey key, int room, long perKey) {
    this.mode = mode;
    this.key = key;
    this.perKey = perKey;
    this.plain = ByteBuffer.allocate(room).limit(0);
    this.sealed = ByteBuffer.allocate(Integer.BYTES + room + TAG_BYTES);
    try {
      this.cipher = Cipher.getInstance("AES/GCM/NoPadding");
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every JDK has AES-GCM", e);
    }
  }

  /**
   * @param room most bytes of a record; equal on both sides
   */
  static Records sealing(SecretKey key, int room) {
    return sealing(key, room, BYTES_PER_KEY / room);
  }

  /**
   * @param perKey records that one key seals
   */
  static Records sealing(SecretKey key, int room, long perKey) {
    Records records = new Records(Cipher.ENCRYPT_MODE, key, room, perKey);
    records.sealed.limit(0);
    return records;
  }

  static Records opening(SecretKey key, int room) {
    return opening(key, room, BYTES_PER_KEY / room);
  }

  static Records opening(SecretKey key, int room, long perKey) {
    return new Records(Cipher.DECRYPT_MODE, key, room, perKey);
  }

  /** A key by HKDF-SHA256 from {@code input}; other salts or uses give unrelated keys. */
  static SecretKey key(SecretKey input, byte[] salt, String use) {
    try {
      return KDF.getInstance("HKDF-SHA256")
          .deriveKey(
              "AES",
              HKDFParameterSpec.ofExtract()
                  .addIKM(input)
                  .addSalt(salt)
                  .thenExpand(use.getBytes(StandardCharsets.US_ASCII), KEY_BYTES));
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every JDK has HKDF-SHA256", e);
    }
  }

  /** Seals the bytes of {@code plain}, from its position to its limit. */
  void seal() {
    sealed.clear().putInt(plain.remaining());
    try {
      int bytes =
          start()
              .doFinal(
                  plain.array(),
                  plain.position(),
                  plain.remaining(),
                  sealed.array(),
                  Integer.BYTES);
      sealed.position(0).limit(Integer.BYTES + bytes);
    } catch (GeneralSecurityException e) {
      throw new AssertionError("the buffers have room", e);
    }
  }

  /**
   * Opens the record at the start of {@code sealed}, and moves what follows it to the start.
   *
   * @return whether the whole record has arrived
   * @throws StreamCorruptedException if it is not the record that the other side sealed next
   */
  boolean open() throws StreamCorruptedException {
    if (sealed.position() < Integer.BYTES) {
      return false;
    }
    int length = sealed.getInt(0);
    if (length < 1 || length > plain.capacity()) {
      throw changed();
    }
    int end = Integer.BYTES + length + TAG_BYTES;
    if (sealed.position() < end) {
      return false;
    }
    try {
      start().doFinal(sealed.array(), Integer.BYTES, length + TAG_BYTES, plain.array(), 0);
    } catch (AEADBadTagException _) {
      throw changed();
    } catch (GeneralSecurityException e) {
      throw new AssertionError("the buffers have room", e);
    }
    plain.position(0).limit(length);
    sealed.flip().position(end).compact();
    return true;
  }

  private static StreamCorruptedException changed() {
    return new StreamCorruptedException("its bytes were changed, repeated or lost on the way");
  }

  private Cipher start() throws GeneralSecurityException {
    if (number == perKey) {
      key = key(key, new byte[0], NEXT_KEY);
      number = 0;
    }
    ByteBuffer.wrap(nonce).putLong(NONCE_BYTES - Long.BYTES, number++);
    cipher.init(mode, key, new GCMParameterSpec(TAG_BYTES * Byte.SIZE, nonce));
    return cipher;
  }
}
