package panamoe.checkpoint.gguf;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SavedFile;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.io.FileErrors;
import panamoe.io.Words;

/**
 * A model in GGUF: one file, or several with names like {@code name-00001-of-00003.gguf}, the first
 * of which has the metadata. Shapes are row-major, the outermost dimension first.
 *
 * <p>The files are untrusted: opening them validates their whole headers. Thread-safe.
 */
public final class GgufFile implements TensorFiles {
  private static final String PART = "split.no";
  private static final String PARTS = "split.count";
  private static final String TENSORS = "split.tensors.count";

  private record Part(Path path, FileChannel channel, GgufHeader header, Stamp stamp) {}

  /** If it is another one, the file was written anew. */
  private record Stamp(long bytes, FileTime modified) {}

  private final List<Part> parts = new ArrayList<>();
  private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();
  private final Map<String, Part> holders = new LinkedHashMap<>();

  private GgufFile() {}

  /**
   * Opens a model.
   *
   * @param path of the (first) file
   * @throws CheckpointException if it is not the first, or a file is missing, not regular or not
   *     valid
   */
  public static GgufFile open(Path path) {
    GgufFile file = new GgufFile();
    try {
      file.add(path);
      if (file.metadata().contains(PARTS)) {
        file.addOthers(path, file.metadata().whole(PARTS, 0, 0xffff));
      }
      return file;
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /**
   * Opens the files again. Their headers, with a name for each token, are parsed again only if a
   * file was written since.
   *
   * @throws CheckpointException like {@link #open}
   */
  public GgufFile again() {
    GgufFile file = new GgufFile();
    try {
      for (Part part : parts) {
        file.add(part.path(), part);
      }
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
    if (!file.stamps().equals(stamps())) {
      file.close();
      return open(parts.getFirst().path());
    }
    return file;
  }

  private List<Stamp> stamps() {
    return parts.stream().map(Part::stamp).toList();
  }

  private void add(Path path) {
    add(path, null);
  }

  private void add(Path path, Part known) {
    FileTime modified = modified(path); // before it is opened: an older time only parses it again
    FileChannel channel = SavedFile.open(path);
    Part part;
    try {
      Stamp stamp = new Stamp(channel.size(), modified);
      GgufHeader header = known == null ? GgufHeader.read(path, channel) : known.header();
      part = new Part(path, channel, header, stamp);
    } catch (IOException e) {
      closeAfter(channel, e);
      throw CheckpointException.unread(path, e);
    } catch (RuntimeException | Error e) {
      closeAfter(channel, e);
      throw e;
    }
    parts.add(part);
    for (StoredTensor tensor : part.header().tensors().values()) {
      Part other = holders.put(tensor.name(), part);
      if (other != null) {
        throw new CheckpointException(
            "tensor " + tensor.name() + " is both in " + other.path() + " and in " + path);
      }
      tensors.put(tensor.name(), tensor);
    }
  }

  private static FileTime modified(Path path) {
    try {
      return Files.getLastModifiedTime(path);
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
  }

  private void addOthers(Path first, int count) {
    if (count < 2) {
      return;
    }
    int number = number(parts.getFirst(), count);
    String ending = ending(number, count);
    String name = first.getFileName().toString();
    if (!name.endsWith(ending)) {
      throw new CheckpointException(
          "%s says that it is file %s of %s, so its name must end in %s",
          first, number + 1, count, ending);
    }
    String stem = name.substring(0, name.length() - ending.length());
    if (number != 0) {
      throw new CheckpointException(
          "%s is file %s of %s; open the first, %s",
          first, number + 1, count, first.resolveSibling(stem + ending(0, count)));
    }
    for (int i = 1; i < count; i++) {
      add(first.resolveSibling(stem + ending(i, count)));
      Part part = parts.getLast();
      int counted = part.header().metadata().whole(PARTS, 0, 0xffff);
      int numbered = number(part, count);
      if (counted != count || numbered != i) {
        throw new CheckpointException(
            "%s says that it is file %s of %s, but its name is that of file %s of %s",
            part.path(), numbered + 1, counted, i + 1, count);
      }
    }
    if (metadata().contains(TENSORS) && metadata().whole(TENSORS) != tensors.size()) {
      throw new CheckpointException(
          "%s says that the %s files hold %s tensors, but they hold %s",
          first, count, metadata().whole(TENSORS), tensors.size());
    }
  }

  private static int number(Part part, int count) {
    return part.header().metadata().whole(PART, 0, count - 1);
  }

  private static String ending(int number, int count) {
    return Words.of("-%05d-of-%05d.gguf", number + 1, count);
  }

  /** The metadata of the (first) file. */
  public GgufMetadata metadata() {
    return parts.getFirst().header().metadata();
  }

  @Override
  public Map<String, StoredTensor> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  @Override
  public Path file(StoredTensor tensor) {
    return holders.get(tensor.name()).path();
  }

  @Override
  public void read(StoredTensor tensor, long offset, MemorySegment into) {
    Part part = holders.get(tensor.name());
    try {
      long position = part.header().dataStart() + tensor.begin() + offset;
      SavedFile.readFully(part.channel(), into, position, part.path());
    } catch (IOException e) {
      throw new CheckpointException(
          Words.of(
              "tensor %s of %s could not be read: %s",
              tensor.name(), part.path(), FileErrors.reason(e)),
          e);
    }
  }

  @Override
  public void close() {
    CheckpointException failure = null;
    for (Part part : parts) {
      try {
        part.channel().close();
      } catch (IOException e) {
        failure =
            CheckpointException.first(
                failure,
                new CheckpointException(
                    "cannot close " + part.path() + ": " + FileErrors.reason(e), e));
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private static void closeAfter(FileChannel channel, Throwable failure) {
    try {
      channel.close();
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }
}
