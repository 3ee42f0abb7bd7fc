package panamoe.data;

import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.CRC32C;
import panamoe.io.FileErrors;
import panamoe.io.SafeFolder;

/** Writes the tokens of one part as shards. Used by one thread. */
final class TokenShardWriter implements Closeable {
  private final Path folder;
  private final ShardHeader.Shape shape;
  private final long perShard;
  private final List<Path> created;
  private final ByteBuffer buffer =
      ByteBuffer.allocateDirect(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private final CRC32C checksum = new CRC32C();
  private FileChannel shard;
  private Path file;
  private long size;

  /**
   * @param created receives each new file
   */
  TokenShardWriter(Path folder, ShardHeader.Shape shape, long perShard, List<Path> created) {
    this.folder = folder;
    this.shape = shape;
    this.perShard = perShard;
    this.created = created;
  }

  /** Tokens so far. */
  long size() {
    return size;
  }

  /**
   * @throws UncheckedIOException if they cannot be written
   */
  void append(int... tokens) {
    try {
      for (int token : tokens) {
        if (size % perShard == 0) {
          finish();
          begin();
        }
        if (shape.tokenBytes() == Integer.BYTES) {
          buffer.putInt(token);
        } else {
          buffer.putShort((short) token);
        }
        size++;
        if (!buffer.hasRemaining()) {
          drain();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(FileErrors.naming(file, e));
    }
  }

  private void begin() throws IOException {
    file = folder.resolve(TokenShards.name(shape.part(), Math.toIntExact(size / perShard)));
    shard = SafeFolder.createFile(file);
    created.add(file);
    shard.position(ShardHeader.BYTES);
    checksum.reset();
  }

  private void drain() throws IOException {
    checksum.update(buffer.flip());
    for (buffer.rewind(); buffer.hasRemaining(); ) {
      shard.write(buffer);
    }
    buffer.clear();
  }

  /**
   * Completes the last shard: writes its header and forces it to the disk.
   *
   * @throws FileSystemException that names the shard
   */
  void finish() throws IOException {
    if (shard == null) {
      return;
    }
    try {
      drain();
      finishShard();
    } catch (IOException e) {
      throw FileErrors.naming(file, e);
    }
  }

  private void finishShard() throws IOException {
    long tokens = (size - 1) % perShard + 1;
    ByteBuffer header =
        new ShardHeader(shape, size - tokens, tokens, (int) checksum.getValue()).bytes();
    for (long at = 0; header.hasRemaining(); ) {
      at += shard.write(header, at);
    }
    shard.force(true);
    shard.close();
    shard = null;
  }

  /** Closes unfinished files. */
  @Override
  public void close() throws IOException {
    if (shard != null) {
      shard.close();
    }
  }
}
