package panamoe.engine.routes;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import panamoe.config.ModelConfig;
import panamoe.io.Count;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.Sha256;
import panamoe.op.RouteSource;

/**
 * A file with the routes of sequences, of one shape of model: a header, and a record for each
 * sequence. After a failure the last record may be torn, or zeros; it counts for nothing. A record
 * names its sequence by SHA-256 of the tokens, which are not in the file. docs/routes.md has the
 * bytes. Used by one thread.
 */
public final class RouteFile implements AutoCloseable {
  private final Path path;
  private final RandomAccessFile file;
  private final RouteFormat format;
  // Where the record of a sequence begins, by its number of rows and its name.
  private final TreeMap<Integer, Map<ByteBuffer, Long>> records = new TreeMap<>();
  private long end;

  private RouteFile(Path path, ModelConfig config, boolean appends) throws IOException {
    this.path = path;
    this.format = new RouteFormat(new RouteLayout(RoutedLayer.of(config)));
    this.file = new RandomAccessFile(path.toFile(), appends ? "rw" : "r");
    try {
      if (appends) {
        lock();
      }
      begin(config, appends);
      scan(config.context());
      if (appends) {
        file.setLength(end);
      }
    } catch (IOException | RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /**
   * Opens a file to append to; makes a file that is missing.
   *
   * @throws DataException if it cannot be written, holds routes of another model, or another
   *     process appends to it
   */
  public static RouteFile append(Path path, ModelConfig config) {
    return open(path, config, true);
  }

  /**
   * Opens a file to read.
   *
   * @throws DataException if it cannot be read, or holds routes of another model
   */
  public static RouteFile open(Path path, ModelConfig config) {
    return open(path, config, false);
  }

  private static RouteFile open(Path path, ModelConfig config, boolean appends) {
    try {
      if (Files.exists(path) && !Files.isRegularFile(path)) {
        throw new DataException("the routes %s are no regular file", path);
      }
      // RandomAccessFile gives no reasons, but an interrupt does not close it.
      OpenOption[] options = appends ? new OpenOption[] {WRITE, CREATE} : new OpenOption[] {READ};
      FileChannel.open(path, options).close();
      return new RouteFile(path, config, appends);
    } catch (IOException e) {
      String what = appends ? "cannot write the routes " : "cannot read the routes ";
      throw new DataException(what + path + ": " + FileErrors.reason(e), e);
    }
  }

  private void lock() throws IOException {
    boolean free;
    try {
      free = file.getChannel().tryLock() != null;
    } catch (OverlappingFileLockException _) {
      free = false;
    }
    if (!free) {
      throw new DataException("the routes %s are being written by another process", path);
    }
  }

  /** Checks the header. A new file, or one that ends in its header, gets one. */
  private void begin(ModelConfig config, boolean appends) throws IOException {
    byte[] own = format.header(config.vocabulary());
    byte[] found = new byte[(int) Math.min(own.length, file.length())];
    file.readFully(found);
    if (appends && Arrays.equals(found, Arrays.copyOf(own, found.length))) {
      file.seek(0);
      file.write(own);
    } else if (!RouteFormat.begins(found)) {
      throw new DataException("%s is no file of routes", path);
    } else if (!Arrays.equals(found, own)) {
      throw new DataException(
          "%s has routes of another model, not of one with a vocabulary of %s and %s",
          path,
          config.vocabulary(),
          layers().isEmpty()
              ? "no MoE layers"
              : layers().stream()
                  .map(each -> each.layer() + " (" + each.topK() + " of " + each.experts() + ")")
                  .collect(Collectors.joining(", ", "the MoE layers ", "")));
    }
    end = own.length;
  }

  private List<RoutedLayer> layers() {
    return format.layout().layers();
  }

  /**
   * Finds the whole records. What a machine that failed leaves after them are zeros, or a part of a
   * record of at most {@code longest} rows; anything else is damage, with records behind it.
   */
  private void scan(int longest) throws IOException {
    byte[] before = new byte[RouteFormat.BEFORE];
    while (end + before.length <= file.length()) {
      file.seek(end);
      file.readFully(before);
      int rows = RouteFormat.rows(before);
      boolean torn = rows > 0 && end + format.bytes(rows) > file.length();
      if (torn && rows <= longest || rows == 0 && zerosFromEnd()) {
        return;
      }
      if (torn || rows < 1) {
        throw damaged(end);
      }
      found(before);
    }
  }

  private boolean zerosFromEnd() throws IOException {
    byte[] part = new byte[1 << 16];
    file.seek(end);
    for (int count = file.read(part); count > 0; count = file.read(part)) {
      if (!Arrays.equals(part, 0, count, new byte[count], 0, count)) {
        return false;
      }
    }
    return true;
  }

  /** Notes the record that begins with these bytes, at the end. */
  private void found(byte[] record) {
    int rows = RouteFormat.rows(record);
    records.computeIfAbsent(rows, _ -> new HashMap<>()).put(RouteFormat.name(record), end);
    end += format.bytes(rows);
  }

  private DataException damaged(long at) {
    return new DataException("the routes %s are damaged at byte %s", path, at);
  }

  /** The number of sequences; of several with the same tokens, the last counts. */
  public int sequences() {
    return records.values().stream().mapToInt(Map::size).sum();
  }

  /**
   * Appends a sequence; the file then holds its whole record, or none of it.
   *
   * @throws DataException if it cannot be written: the disk is full
   */
  public void append(SequenceRoutes sequence) {
    byte[] record = format.record(sequence);
    try {
      file.seek(end);
      file.write(record);
      found(record);
    } catch (IOException e) {
      try {
        file.setLength(end);
      } catch (IOException more) {
        e.addSuppressed(more); // a reader ignores the torn record
      }
      throw new DataException("cannot write the routes " + path + ": " + FileErrors.reason(e), e);
    }
  }

  /**
   * The routes of a batch of texts, each by the longest record of its first tokens; the gates
   * choose for the rows after that, and for filler.
   *
   * @param ids [S]
   * @param texts their lengths in tokens, S in total
   * @param filler texts that only fill a sequence; null: none
   * @throws DataException if there is no record for a text
   */
  public RouteSource of(int[] ids, int[] texts, BitSet filler) {
    Map<Integer, int[]> experts = new HashMap<>();
    for (RoutedLayer layer : layers()) {
      int[] all = new int[ids.length * layer.topK()];
      Arrays.fill(all, -1);
      experts.put(layer.layer(), all);
    }
    int from = 0;
    for (int i = 0; i < texts.length; i++) {
      if (filler == null || !filler.get(i)) {
        take(ids, from, texts[i], experts);
      }
      from += texts[i];
    }
    return experts::get;
  }

  private void take(int[] ids, int from, int length, Map<Integer, int[]> experts) {
    MessageDigest tokens = Sha256.digest();
    int rows = 0;
    int named = 0;
    long at = -1;
    for (var some : records.headMap(length, true).entrySet()) {
      RouteFormat.add(tokens, ids, from + named, from + some.getKey());
      named = some.getKey();
      Long found = some.getValue().get(RouteFormat.name(tokens));
      if (found != null) {
        rows = named;
        at = found;
      }
    }
    if (at < 0) {
      throw new DataException(
          "%s has the routes of %s, but of none that a training text begins with: one of %s tokens, of which the first is token %s",
          path, Count.of(sequences(), "sequence"), length, ids[from]);
    }
    byte[] record = new byte[Math.toIntExact(format.bytes(rows))];
    try {
      file.seek(at);
      file.readFully(record);
    } catch (IOException e) {
      throw new DataException("cannot read the routes " + path + ": " + FileErrors.reason(e), e);
    }
    if (!format.read(record, experts, from)) {
      throw damaged(at);
    }
  }

  /**
   * @throws DataException if what was appended cannot be written
   */
  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw new DataException("cannot write the routes " + path + ": " + FileErrors.reason(e), e);
    }
  }
}
