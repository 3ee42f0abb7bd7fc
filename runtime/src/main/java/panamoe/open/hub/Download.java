package panamoe.open.hub;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongConsumer;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.SafeFolder;

/**
 * Fetches a file into the cache: goes on where a cut connection or a killed process ended, and
 * compares size and digest before the file gets its name. Processes of this program that want the
 * same file take turns. huggingface_hub's locks are of another kind; it writes to other names, so
 * that at worst both fetch the file.
 */
record Download(
    HubClient client, CachedRepository repository, String commit, HubFile file, LongConsumer done) {
  private static final String INCOMPLETE = ".panamoe.incomplete";
  private static final String DIGEST = "the digest ";
  private static final int BUFFER = 1 << 20;
  private static final long MILLIS_BETWEEN_LOOKS = 100;

  /** Of this process, whose locks of files do not exclude its own threads. */
  private static final ReentrantLock OWN = new ReentrantLock();

  /** The bytes that are there, of the whole file or a part. */
  static long there(CachedRepository repository, HubFile file) throws IOException {
    Path blob = repository.blob(file);
    if (Files.exists(blob)) {
      return file.size();
    }
    Path incomplete = incomplete(blob);
    return Files.isRegularFile(incomplete) ? Math.min(file.size(), Files.size(incomplete)) : 0;
  }

  private static Path incomplete(Path blob) {
    return blob.resolveSibling(blob.getFileName() + INCOMPLETE);
  }

  /**
   * Fetches the file, unless it is there, and links it into the snapshot.
   *
   * @throws IOException if it cannot be written
   * @throws CheckpointException if it cannot be fetched, or is not what the hub lists
   * @throws CancellationException if the thread is interrupted, which it stays
   */
  void run() throws IOException {
    try {
      OWN.lockInterruptibly();
      try {
        locked();
      } finally {
        OWN.unlock();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException();
    }
    repository.link(commit, file);
    done.accept(file.size());
  }

  private void locked() throws IOException, InterruptedException {
    Path blob = repository.blob(file);
    SafeFolder locks = repository.locks();
    locks.make();
    try (FileChannel channel = locks.openLock(file.etag() + ".lock")) {
      while (!lock(channel)) {
        Thread.sleep(MILLIS_BETWEEN_LOOKS);
      }
      if (!Files.exists(blob)) {
        Path incomplete = incomplete(blob);
        write(incomplete);
        Files.move(incomplete, blob, StandardCopyOption.ATOMIC_MOVE);
        SafeFolder.force(blob.getParent());
      } else if (Files.size(blob) != file.size()) {
        throw new CheckpointException(
            "%s has %s bytes, and on the hub %s has %s: remove it",
            blob, Files.size(blob), file.path(), file.size());
      }
    }
  }

  private static boolean lock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock() != null;
    } catch (OverlappingFileLockException _) {
      return false; // by this class, loaded once more
    }
  }

  private void write(Path incomplete) throws IOException {
    try (FileChannel out =
        FileChannel.open(
            incomplete,
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            LinkOption.NOFOLLOW_LINKS)) {
      String found = write(out);
      if (!found.equals(DIGEST + file.etag())) {
        Files.delete(incomplete);
        throw new CheckpointException(
            "%s came with %s, and the hub lists %s bytes with the digest %s; it is removed",
            file.path(), found, file.size(), file.etag());
      }
      out.force(true);
    }
  }

  /** Writes the whole file; returns its digest or its other number of bytes, in words. */
  private String write(FileChannel out) throws IOException {
    MessageDigest digest = file.digest();
    ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
    if (out.size() <= file.size()) {
      while (out.read(buffer) >= 0) { // what an earlier process fetched
        digest.update(buffer.flip());
        buffer.clear();
      }
    }
    Tries tries = client.tries();
    for (long at = out.position(); at < file.size(); at = out.position()) {
      try (HubClient.Part part = client.open(commit, file.path(), at, tries)) {
        if (part.size() >= 0 && part.size() != file.size()) {
          return part.size() + " bytes";
        }
        if (part.from() != at) { // the server knows no ranges
          digest = file.digest();
          out.position(0);
        }
        out.truncate(out.position());
        while (part.read(buffer)) {
          tries.brought();
          digest.update(buffer.flip().slice());
          if (out.position() + buffer.limit() > file.size()) {
            return "more bytes";
          }
          while (buffer.hasRemaining()) {
            out.write(buffer);
          }
          done.accept(out.position());
          buffer.clear();
        }
      }
      if (out.position() < file.size()) {
        tries.failed(new IOException("the connection was cut"));
      }
    }
    return DIGEST + HexFormat.of().formatHex(digest.digest());
  }
}
