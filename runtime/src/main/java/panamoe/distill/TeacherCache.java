package panamoe.distill;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.LongUnaryOperator;
import java.util.zip.CRC32C;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.io.SafeFolder;
import panamoe.model.Head;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.train.ConfigDifference;
import panamoe.train.Objective;
import tools.jackson.databind.JsonNode;

/**
 * A teacher's final hidden states on disk, for all students that learn from it on one text. States
 * that are missing are computed by the teacher and written. They are exact: a student has the same
 * bits with a cache and without. Used by one thread; ranks and processes may share a folder,
 * because they write the same bytes.
 *
 * <pre>
 * cache.json   which teacher, text and backend
 * hidden.bin   for each window of the text L rows of M values, then 8 bytes: 1, and the CRC-32C of the rows;
 *              a window that was not needed yet is a hole in the file
 * </pre>
 */
final class TeacherCache implements TeacherStates {
  private static final String CONTENT = "cache.json";
  private static final String STATES = "hidden.bin";
  private static final int WRITTEN = 1;

  /**
   * The key of a cache.
   *
   * @param teacher SHA-256 of its checkpoint
   * @param text SHA-256 of the text
   * @param sequence L
   * @param hidden M
   * @param backend that ran the teacher: others round differently
   */
  record Content(
      String teacher, String text, int sequence, int hidden, DType dtype, String backend) {
    long windowBytes() {
      return (long) sequence * hidden * dtype.bytes() + Long.BYTES;
    }
  }

  private final Content content;
  private final TeacherStates teacher;
  private final LongUnaryOperator windows;
  private final Path file;
  private final FileChannel states;
  private final ByteBuffer seal = ByteBuffer.allocateDirect(Long.BYTES);

  /**
   * Creates a cache in a folder that is empty or does not exist; does nothing if it has this cache.
   *
   * @throws IllegalArgumentException if the folder holds something else
   */
  static void begin(Path folder, Content content) throws IOException {
    SafeFolder files = new SafeFolder(folder);
    if (files.has(CONTENT)) {
      JsonNode before = ConfigJson.tree(ConfigJson.read(folder.resolve(CONTENT), Content.class));
      String differs = ConfigDifference.between(before, ConfigJson.tree(content));
      if (!differs.isEmpty()) {
        throw Require.refusal(
            "%s is the cache of another teacher or text (%s); name another --teacher-cache",
            folder, differs);
      }
    } else if (Files.exists(folder) && !files.names("").isEmpty()) {
      throw new IllegalArgumentException(
          folder + " is not empty and holds no teacher's cache; name another --teacher-cache");
    } else {
      files.make();
      files.replace(CONTENT, ConfigJson.text(content).getBytes(UTF_8));
    }
  }

  /** The length of a cache's file of states, which may have holes; 0 if the file does not exist. */
  static long bytesIn(Path folder) throws IOException {
    Path states = folder.resolve(STATES);
    return Files.exists(states) ? Files.size(states) : 0;
  }

  /**
   * Opens a cache.
   *
   * @param teacher computes missing states; closed with this
   * @param windows maps the number of a training sequence to its window of the text
   */
  TeacherCache(Path folder, Content content, TeacherStates teacher, LongUnaryOperator windows) {
    this.content = content;
    this.teacher = teacher;
    this.windows = windows;
    this.file = folder.resolve(STATES);
    try {
      this.states =
          FileChannel.open(
              new SafeFolder(folder).file(STATES),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.SPARSE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public Tensor hidden(Pass pass, Objective.Batch batch) {
    int sequences = Math.toIntExact(batch.ids().count() / content.sequence());
    Tensor kept = pass.allocate(content.dtype(), batch.ids().count(), content.hidden());
    HostView onHost = HostView.of(kept);
    try {
      for (int i = 0; i < sequences; i++) {
        if (!read(windows.applyAsLong(batch.first() + i), rows(onHost.memory(), i))) {
          kept.release();
          return asked(pass, batch, sequences);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    onHost.write();
    return kept;
  }

  private Tensor asked(Pass pass, Objective.Batch batch, int sequences) {
    Tensor hidden = teacher.hidden(pass, batch);
    MemorySegment onHost = HostView.elements(hidden);
    try {
      for (int i = 0; i < sequences; i++) {
        write(windows.applyAsLong(batch.first() + i), rows(onHost, i));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return hidden;
  }

  private MemorySegment rows(MemorySegment hidden, int sequence) {
    long bytes = (long) content.sequence() * content.hidden() * content.dtype().bytes();
    return hidden.asSlice(sequence * bytes, bytes);
  }

  /**
   * Whether the window is in the cache.
   *
   * @throws CheckpointException if it is damaged
   */
  private boolean read(long window, MemorySegment rows) throws IOException {
    long at = window * content.windowBytes();
    if (at + content.windowBytes() > states.size()) {
      return false;
    }
    fill(seal.clear(), at + rows.byteSize());
    if (seal.getInt(0) == 0) {
      return false;
    }
    ByteBuffer bytes = rows.asByteBuffer();
    fill(bytes.duplicate(), at);
    if (seal.getInt(0) != WRITTEN || seal.getInt(Integer.BYTES) != checksum(bytes)) {
      throw new CheckpointException(
          file + " is damaged in window " + window + "; remove its folder to have it made again");
    }
    return true;
  }

  private void fill(ByteBuffer bytes, long at) throws IOException {
    long offset = at;
    while (bytes.hasRemaining()) {
      int read = states.read(bytes, offset);
      if (read < 0) {
        throw new CheckpointException(file + " became shorter while it was read");
      }
      offset += read;
    }
  }

  /** Writes the seal last, so that a window that is cut short counts as missing. */
  private void write(long window, MemorySegment rows) throws IOException {
    ByteBuffer bytes = rows.asByteBuffer();
    long at = window * content.windowBytes();
    seal.clear().putInt(WRITTEN).putInt(checksum(bytes.duplicate())).flip();
    drain(bytes, at);
    drain(seal, at + rows.byteSize());
  }

  private void drain(ByteBuffer bytes, long at) throws IOException {
    long offset = at;
    while (bytes.hasRemaining()) {
      offset += states.write(bytes, offset);
    }
  }

  private static int checksum(ByteBuffer bytes) {
    CRC32C checksum = new CRC32C();
    checksum.update(bytes);
    return (int) checksum.getValue();
  }

  @Override
  public Head head() {
    return teacher.head();
  }

  @Override
  public void close() {
    try (states) {
      teacher.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
