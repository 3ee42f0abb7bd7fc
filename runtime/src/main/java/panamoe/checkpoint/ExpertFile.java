package panamoe.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Optional;
import panamoe.io.Count;
import panamoe.io.FileErrors;
import panamoe.io.SafeFolder;
import panamoe.io.Words;

/**
 * A file of packed experts for this machine: a unit for each expert, with a CRC-32C, at multiples
 * of {@link #BLOCK}, for direct reads past the page cache. The file can be made again from the
 * model.
 *
 * <p>Layout: a header of whole blocks, little-endian (8 bytes {@link #MAGIC}, the key, a CRC-32C
 * for each unit, the CRC-32C of the header before it), then the units. {@link #read} may be called
 * by any thread.
 */
public final class ExpertFile implements AutoCloseable {
  /** Alignment of units in the file and in memory, and granularity of their size. */
  public static final int BLOCK = 4096;

  public static final int KEY_BYTES = 32;

  /** A buffer holds less than 2 GiB; an expert may be larger. */
  private static final long WRITE_BYTES = 64L << 20;

  private static final String LOCK = ".lock";
  private static final String PARTIAL = ".partial";
  private static final long MAGIC = 0x3130_5458_454f_4d50L; // "PMOEXT01"

  /** Fills memory with a unit. */
  @FunctionalInterface
  public interface Units {
    /**
     * @param from the first unit
     * @param into memory of each of some units, aligned to {@link #BLOCK}
     */
    void fill(int from, MemorySegment[] into);
  }

  private final Path path;
  private final FileChannel channel;
  private final long[] bytes;
  private final int[] checksums;

  private ExpertFile(Path path, FileChannel channel, long[] bytes, int[] checksums) {
    this.path = path;
    this.channel = channel;
    this.bytes = bytes;
    this.checksums = checksums;
  }

  /** The size of a unit in whole blocks. */
  public static long room(long bytes) {
    return Math.ceilDiv(bytes, (long) BLOCK) * BLOCK;
  }

  /**
   * Opens a file. Writes it first if it is missing or incomplete. Waits for another process or
   * thread that is writing it, and writes it if that one fails.
   *
   * @param key identifies the contents, {@link #KEY_BYTES} bytes
   * @param bytes of each unit
   * @param staging memory of at least one unit, aligned to {@link #BLOCK}
   * @param units makes them
   * @throws CheckpointException if it cannot be written or read
   */
  public static ExpertFile open(
      Path path, byte[] key, long[] bytes, MemorySegment staging, Units units) {
    try {
      Optional<ExpertFile> whole = openWhole(path, key, bytes);
      return whole.isPresent() ? whole.get() : make(path, key, bytes, staging, units);
    } catch (IOException e) {
      throw new CheckpointException(
          Words.of(
              "the file of experts %s, which takes %s, cannot be written (%s); name another folder"
                  + " with --expert-cache, or take more --memory",
              path, Count.bytes(size(bytes)), FileErrors.reason(e)),
          e);
    }
  }

  /**
   * Synchronized, because a file lock excludes processes, not threads. The lock file is never
   * renamed or deleted: a lock on a deleted file excludes nobody.
   */
  private static synchronized ExpertFile make(
      Path path, byte[] key, long[] bytes, MemorySegment staging, Units units) throws IOException {
    SafeFolder folder = new SafeFolder(path.getParent());
    if (Files.exists(folder.path()) && !Files.isDirectory(folder.path())) {
      throw new IOException(folder.path() + " is a file, not a folder");
    }
    folder.make();
    try (FileChannel lock = folder.openLock(path.getFileName() + LOCK);
        FileLock _ = lock.lock()) {
      Optional<ExpertFile> whole = openWhole(path, key, bytes);
      if (whole.isEmpty()) {
        write(path, key, bytes, staging, units);
        whole = openWhole(path, key, bytes);
      }
      return whole.orElseThrow(
          () -> new CheckpointException(path + " was written, but gives other bytes"));
    }
  }

  /** Empty if the file is missing, has another key, or is incomplete. */
  private static Optional<ExpertFile> openWhole(Path path, byte[] key, long[] bytes)
      throws IOException {
    if (!Files.isRegularFile(path) || Files.size(path) != size(bytes)) {
      return Optional.empty();
    }
    FileChannel channel = openDirect(path, StandardOpenOption.READ);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment header = arena.allocate(headerRoom(bytes.length), BLOCK);
      SavedFile.readFully(channel, header, 0, path);
      int[] checksums = new int[bytes.length];
      MemorySegment.copy(
          header,
          ValueLayout.JAVA_INT_UNALIGNED,
          Long.BYTES + KEY_BYTES,
          checksums,
          0,
          bytes.length);
      if (header.mismatch(header(key, checksums, arena)) == -1) {
        return Optional.of(new ExpertFile(path, channel, bytes, checksums));
      }
    } catch (IOException | RuntimeException | Error e) {
      channel.close();
      throw e;
    }
    channel.close();
    return Optional.empty();
  }

  private static void write(Path path, byte[] key, long[] bytes, MemorySegment staging, Units units)
      throws IOException {
    Path partial = path.resolveSibling(path.getFileName() + PARTIAL);
    Files.deleteIfExists(partial); // left by a killed process
    SafeFolder.createFile(partial).close();
    try (Arena arena = Arena.ofConfined();
        FileChannel out = openDirect(partial, StandardOpenOption.WRITE)) {
      long free = Files.getFileStore(partial).getUsableSpace();
      if (free < size(bytes)) {
        throw new IOException("the disk has only " + Count.bytes(free) + " left");
      }
      int[] checksums = new int[bytes.length];
      long at = headerRoom(bytes.length);
      for (int from = 0, end; from < bytes.length; from = end) {
        MemorySegment[] some = cut(bytes, from, staging);
        units.fill(from, some);
        end = from + some.length;
        for (int unit = from; unit < end; unit++) {
          MemorySegment memory = some[unit - from];
          memory.asSlice(bytes[unit]).fill((byte) 0);
          checksums[unit] = Crc32c.of(memory.asSlice(0, bytes[unit]));
          writeFully(out, memory, at);
          at += memory.byteSize();
        }
      }
      writeFully(out, header(key, checksums, arena), 0);
      out.force(true);
      Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE);
      SafeFolder.force(path.getParent());
    } catch (IOException | RuntimeException | Error e) {
      try {
        Files.deleteIfExists(partial);
      } catch (IOException undeleted) {
        e.addSuppressed(undeleted);
      }
      throw e;
    }
  }

  /** Memory of units from {@code from} on, as far as {@code staging} reaches. */
  private static MemorySegment[] cut(long[] bytes, int from, MemorySegment staging) {
    MemorySegment[] some = new MemorySegment[bytes.length - from];
    int count = 0;
    long at = 0;
    for (int unit = from;
        unit < bytes.length && at + room(bytes[unit]) <= staging.byteSize();
        unit++) {
      some[count++] = staging.asSlice(at, room(bytes[unit]));
      at += room(bytes[unit]);
    }
    return Arrays.copyOf(some, count);
  }

  /**
   * Reads a unit.
   *
   * @param into memory of the unit
   * @return whether its checksum is right
   * @throws CheckpointException if the file cannot be read
   */
  public boolean read(int unit, MemorySegment into) {
    try {
      MemorySegment memory = into.asSlice(0, room(bytes[unit]));
      SavedFile.readFully(channel, memory, place(unit), path);
      return Crc32c.of(memory.asSlice(0, bytes[unit])) == checksums[unit];
    } catch (IOException e) {
      throw new CheckpointException(
          path + " cannot be read any more (" + FileErrors.reason(e) + ")", e);
    }
  }

  /**
   * Writes a damaged unit again.
   *
   * @throws CheckpointException if the model now gives another unit, or the file cannot be written
   */
  public void rewrite(int unit, MemorySegment from) {
    MemorySegment memory = from.asSlice(0, room(bytes[unit]));
    if (Crc32c.of(memory.asSlice(0, bytes[unit])) != checksums[unit]) {
      throw new CheckpointException(
          path + " is damaged, and its model has changed since it was written; delete the file");
    }
    try (FileChannel out = openDirect(path, StandardOpenOption.WRITE)) {
      memory.asSlice(bytes[unit]).fill((byte) 0);
      writeFully(out, memory, place(unit));
      out.force(true);
    } catch (IOException e) {
      throw new CheckpointException(
          path + " is damaged and cannot be mended (" + FileErrors.reason(e) + ")", e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException _) {
      // nothing to flush
    }
  }

  private long place(int unit) {
    long at = headerRoom(bytes.length);
    for (int before = 0; before < unit; before++) {
      at += room(bytes[before]);
    }
    return at;
  }

  private static long size(long[] bytes) {
    return headerRoom(bytes.length) + Arrays.stream(bytes).map(ExpertFile::room).sum();
  }

  private static long headerRoom(int units) {
    return room(Long.BYTES + KEY_BYTES + (units + 1L) * Integer.BYTES);
  }

  private static MemorySegment header(byte[] key, int[] checksums, Arena arena) {
    MemorySegment header = arena.allocate(headerRoom(checksums.length), BLOCK);
    header.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, MAGIC);
    MemorySegment.copy(key, 0, header, ValueLayout.JAVA_BYTE, Long.BYTES, KEY_BYTES);
    long at = Long.BYTES + KEY_BYTES;
    MemorySegment.copy(checksums, 0, header, ValueLayout.JAVA_INT_UNALIGNED, at, checksums.length);
    at += (long) checksums.length * Integer.BYTES;
    header.set(ValueLayout.JAVA_INT_UNALIGNED, at, Crc32c.of(header.asSlice(0, at)));
    return header;
  }

  /** Opens without the page cache if the file system supports it for our blocks. */
  private static FileChannel openDirect(Path path, OpenOption access) throws IOException {
    Optional<OpenOption> direct = direct();
    if (direct.isPresent() && BLOCK % Files.getFileStore(path).getBlockSize() == 0) {
      try {
        return FileChannel.open(path, access, direct.get());
      } catch (IOException | UnsupportedOperationException _) {
        // for example tmpfs
      }
    }
    return FileChannel.open(path, access);
  }

  /** O_DIRECT by reflection: compilers warn of the JDK's internal class. */
  private static Optional<OpenOption> direct() {
    try {
      return Arrays.stream(Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants())
          .filter(option -> option.toString().equals("DIRECT"))
          .map(OpenOption.class::cast)
          .findFirst();
    } catch (ClassNotFoundException _) {
      return Optional.empty();
    }
  }

  private static void writeFully(FileChannel channel, MemorySegment from, long to)
      throws IOException {
    for (long at = 0; at < from.byteSize(); at += WRITE_BYTES) {
      ByteBuffer piece =
          from.asSlice(at, Math.min(WRITE_BYTES, from.byteSize() - at)).asByteBuffer();
      while (piece.hasRemaining()) {
        channel.write(piece, to + at + piece.position());
      }
    }
  }
}
