package panamoe.checkpoint.torch;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.io.FileErrors;
import panamoe.io.RegularFile;
import panamoe.io.Words;

/**
 * One file of {@code torch.save} (PyTorch 1.6 and later). It is untrusted: its pickle is read as
 * data ({@link Unpickler}), its entries must be uncompressed, so that nothing grows when it is
 * read, and are read by position, never unpacked to files. Used by one thread.
 */
public final class TorchFile implements AutoCloseable {
  private static final int MOST_PICKLE_BYTES = 64 << 20;
  private static final int MOST_ENTRIES = 1_000_000;
  private static final int CHUNK_BYTES = 1 << 20;
  private static final String PICKLE = "/data.pkl";

  private final Path path;
  private final ZipFile zip;
  private final Map<String, ZipEntry> entries = new LinkedHashMap<>();
  private final Set<String> sound = new HashSet<>();
  private final String prefix;
  private final Object content;

  private TorchFile(Path path, ZipFile zip) throws IOException {
    this.path = path;
    this.zip = zip;
    if (zip.size() > MOST_ENTRIES) {
      throw bad("has " + zip.size() + " entries, at most " + MOST_ENTRIES + " are read");
    }
    zip.stream().forEach(this::add);
    this.prefix = prefix();
    ZipEntry order = entries.get(prefix + "/byteorder");
    if (order != null
        && !new String(bytes(order, 16), StandardCharsets.US_ASCII).equals("little")) {
      throw bad("holds big-endian numbers, expected little-endian ones");
    }
    byte[] pickle = bytes(entries.get(prefix + PICKLE), MOST_PICKLE_BYTES);
    this.content = Unpickler.read(pickle, path + ", " + prefix + PICKLE + ",");
  }

  /**
   * Opens a file and reads its pickle, but no elements.
   *
   * @throws CheckpointException if it is not a regular file of {@code torch.save}
   */
  public static TorchFile open(Path path) {
    ZipFile zip = null;
    try {
      RegularFile.open(path).close(); // refuses links and pipes
      zip = new ZipFile(path.toFile());
      return new TorchFile(path, zip);
    } catch (IOException e) {
      closeAfter(zip, e);
      throw unread(path, e);
    } catch (IllegalArgumentException e) {
      closeAfter(zip, e);
      throw new CheckpointException(path + " has entries that cannot be read", e);
    } catch (RuntimeException | Error e) {
      closeAfter(zip, e);
      throw e;
    }
  }

  private static CheckpointException unread(Path path, IOException failure) {
    String sentence =
        switch (failure) {
          case NoSuchFileException _ -> path + " does not exist";
          case ZipException e ->
              Words.of(
                  "%s is not a file of torch.save: it is no ZIP archive, or a damaged one (%s)",
                  path, e.getMessage());
          case EOFException _ -> path + " was truncated";
          default -> path + " could not be read: " + FileErrors.reason(failure);
        };
    return new CheckpointException(sentence, failure);
  }

  private void add(ZipEntry entry) {
    String name = entry.getName();
    if (name.startsWith("/") || name.contains("\\") || ("/" + name + "/").contains("/../")) {
      throw bad("has an entry that leads out of the archive: " + name);
    }
    if (entry.getMethod() != ZipEntry.STORED || entry.getSize() != entry.getCompressedSize()) {
      throw bad("has a compressed entry, " + name + "; torch.save stores without compression");
    }
    if (entries.put(name, entry) != null) {
      throw bad("has two entries " + name);
    }
  }

  private String prefix() {
    String[] found =
        entries.keySet().stream()
            .filter(name -> name.endsWith(PICKLE) && name.indexOf('/') == name.length() - 9)
            .toArray(String[]::new);
    if (found.length != 1) {
      throw bad("has " + found.length + " entries data.pkl, a file of torch.save has one");
    }
    return found[0].substring(0, found[0].length() - PICKLE.length());
  }

  private byte[] bytes(ZipEntry entry, int most) throws IOException {
    if (entry.getSize() > most) {
      throw bad(
          "has an entry %s of %s bytes, more than the limit %s",
          entry.getName(), entry.getSize(), most);
    }
    try (CheckedInputStream in = checked(entry)) {
      byte[] bytes = in.readNBytes((int) entry.getSize());
      if (bytes.length < entry.getSize()) {
        throw new EOFException();
      }
      requireSound(entry, in);
      return bytes;
    }
  }

  private CheckedInputStream checked(ZipEntry entry) throws IOException {
    return new CheckedInputStream(zip.getInputStream(entry), new CRC32());
  }

  /** Reads the rest of an entry and compares its checksum, which ZipFile does not; once. */
  private void requireSound(ZipEntry entry, CheckedInputStream in) throws IOException {
    if (sound.contains(entry.getName())) {
      return;
    }
    in.transferTo(OutputStream.nullOutputStream());
    long stored = entry.getCrc(); // torch writes 0 if it skips the computation
    if (stored != 0 && stored != in.getChecksum().getValue()) {
      throw bad("is damaged: its entry " + entry.getName() + " does not have its checksum");
    }
    sound.add(entry.getName());
  }

  public Path path() {
    return path;
  }

  /** The saved object as plain data, see {@link Unpickler}. */
  public Object content() {
    return content;
  }

  /**
   * All elements of a tensor of this file, row by row; F64 is rounded to nearest, F16 and BF16 are
   * widened.
   *
   * @throws CheckpointException if it is not floating, or its elements are missing, truncated or
   *     damaged
   */
  public float[] floats(TorchTensor tensor) {
    ZipEntry entry = entries.get(prefix + "/data/" + tensor.storage());
    StoredType type = tensor.type();
    if (!type.isFloating()) {
      throw bad("has a tensor " + tensor + " of whole numbers, expected floating ones");
    }
    if (entry == null) {
      throw bad("has no entry " + prefix + "/data/" + tensor.storage() + " for a tensor " + tensor);
    }
    long begin = tensor.begin() * type.bytes();
    if (entry.getSize() / type.bytes() - tensor.begin() < tensor.count()) {
      throw bad(
          "has an entry %s of %s bytes, fewer than its tensor %s takes",
          entry.getName(), entry.getSize(), tensor);
    }
    if (tensor.count() > Integer.MAX_VALUE - 8) {
      throw bad("has a tensor " + tensor + " that is too large for a Java array");
    }
    try (CheckedInputStream in = checked(entry)) {
      in.skipNBytes(begin);
      float[] values = floats(in, type, (int) tensor.count());
      requireSound(entry, in);
      return values;
    } catch (IOException e) {
      throw unread(path, e);
    }
  }

  private static float[] floats(InputStream in, StoredType type, int count) throws IOException {
    float[] values = new float[count];
    byte[] chunk = new byte[CHUNK_BYTES];
    int perChunk = CHUNK_BYTES / type.bytes();
    for (int at = 0; at < count; at += perChunk) {
      int now = Math.min(perChunk, count - at);
      int bytes = now * type.bytes();
      if (in.readNBytes(chunk, 0, bytes) < bytes) {
        throw new EOFException();
      }
      type.decode(
          MemorySegment.ofArray(chunk).asSlice(0, bytes),
          MemorySegment.ofArray(values).asSlice(4L * at, 4L * now));
    }
    return values;
  }

  private CheckpointException bad(String pattern, Object... values) {
    return new CheckpointException("%s %s", path, Words.of(pattern, values));
  }

  @Override
  public void close() {
    try {
      zip.close();
    } catch (IOException e) {
      throw new CheckpointException("cannot close " + path + ": " + FileErrors.reason(e), e);
    }
  }

  private static void closeAfter(ZipFile zip, Throwable failure) {
    try {
      if (zip != null) {
        zip.close();
      }
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }
}
