package panamoe.data;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.CRC32C;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.RegularFile;
import panamoe.io.Words;

/**
 * Memory-mapped tokens; the garbage collector unmaps the files. All shards but the last have the
 * same number of tokens.
 */
final class TokenShards implements Tokens {
  private static final int CHECKED_AT_A_TIME = 1 << 20;
  private static final ValueLayout.OfShort UINT16 =
      ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT32 =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final MemorySegment[] shards;
  private final boolean wide;
  private final long size;
  private final long perShard;

  /**
   * Maps the shards of one part, and reads them once to compare checksums.
   *
   * @param size tokens of the part
   * @param perShard tokens of each shard but the last
   * @param vocabulary size: tokens are below it
   * @throws DataException if a shard is missing, truncated, damaged or foreign
   */
  TokenShards(Path folder, ShardHeader.Shape shape, long size, long perShard, int vocabulary) {
    this.size = size;
    this.perShard = perShard;
    this.wide = shape.tokenBytes() == Integer.BYTES;
    this.shards = new MemorySegment[Math.toIntExact(Math.ceilDiv(size, perShard))];
    for (int i = 0; i < shards.length; i++) {
      long first = i * perShard;
      Path file = folder.resolve(name(shape.part(), i));
      ShardHeader header = new ShardHeader(shape, first, Math.min(perShard, size - first), 0);
      shards[i] = map(file, header);
      requireBelow(vocabulary, shards[i], file);
    }
  }

  /** The name of a shard's file. */
  static String name(Corpus.Part part, int shard) {
    return Words.of("%s-%05d.tokens", part.name().toLowerCase(Locale.ROOT), shard);
  }

  private static MemorySegment map(Path file, ShardHeader expected) {
    long bytes = ShardHeader.BYTES + expected.tokens() * expected.shape().tokenBytes();
    try (FileChannel channel = RegularFile.open(file)) {
      if (channel.size() != bytes) {
        throw new DataException(
            "%s has %s bytes, expected %s; prepare the text again", file, channel.size(), bytes);
      }
      ByteBuffer header = ByteBuffer.allocate(ShardHeader.BYTES);
      RegularFile.read(channel, header, 0);
      int crc = expected.crcIn(header, file.toString());
      if (crc != checksum(channel, bytes)) {
        throw damaged(file);
      }
      return channel.map(
          MapMode.READ_ONLY, ShardHeader.BYTES, bytes - ShardHeader.BYTES, Arena.ofAuto());
    } catch (IOException e) {
      throw new DataException("cannot read the tokens " + file + ": " + FileErrors.reason(e), e);
    }
  }

  /**
   * The CRC-32C of the tokens up to byte {@code end}, or to the end of a file that became shorter.
   * The file is read, not mapped: access to a mapped page that no longer exists would kill the
   * process.
   */
  static int checksum(FileChannel channel, long end) throws IOException {
    CRC32C checksum = new CRC32C();
    ByteBuffer piece = ByteBuffer.allocate(CHECKED_AT_A_TIME);
    int read = 0;
    for (long at = ShardHeader.BYTES; at < end && read >= 0; at += read) {
      piece.clear().limit((int) Math.min(CHECKED_AT_A_TIME, end - at));
      read = RegularFile.read(channel, piece, at);
      checksum.update(piece.flip());
    }
    return (int) checksum.getValue();
  }

  private void requireBelow(int vocabulary, MemorySegment shard, Path file) {
    int most = 0; // unsigned, so that negative numbers are too large as well
    for (long i = 0; i < tokens(shard); i++) {
      most = Integer.compareUnsigned(token(shard, i), most) > 0 ? token(shard, i) : most;
    }
    if (Integer.compareUnsigned(most, vocabulary) >= 0) {
      throw damaged(file);
    }
  }

  private static DataException damaged(Path file) {
    return new DataException(
        file + " is damaged: its tokens are not those that were written; prepare the text again");
  }

  private long tokens(MemorySegment shard) {
    return shard.byteSize() / (wide ? Integer.BYTES : Short.BYTES);
  }

  private int token(MemorySegment shard, long index) {
    return wide ? shard.getAtIndex(INT32, index) : shard.getAtIndex(UINT16, index) & 0xffff;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public int get(long index) {
    return token(shards[(int) (index / perShard)], index % perShard);
  }

  @Override
  public void copyTo(long from, MemorySegment destination, long at, long count) {
    for (long i = 0; i < count; i++) {
      destination.setAtIndex(ValueLayout.JAVA_INT, at + i, get(from + i));
    }
  }
}
