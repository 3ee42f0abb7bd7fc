package panamoe.spark;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import panamoe.checkpoint.CheckpointMirror;

/**
 * A folder in a Hadoop file system; with {@code checkpoints} in it, that of a run. Thread-safe.
 *
 * <p>A checkpoint is copied into a hidden folder, which is renamed once its manifest is there. The
 * file {@code latest} then names it. A reader believes {@code latest} only if the checkpoint has
 * its manifest, and takes the newest one with a manifest otherwise.
 */
final class ClusterFolder implements CheckpointMirror {
  private static final String CHECKPOINTS = "checkpoints";
  private static final String LATEST = CHECKPOINTS + "/latest";
  private static final String MANIFEST = "manifest.json";

  private final Path root;
  private final FileSystem files;

  /**
   * @throws IOException if there is no such file system, or it cannot be reached
   */
  ClusterFolder(String uri, Configuration settings) throws IOException {
    Path path = new Path(uri);
    this.files = path.getFileSystem(settings);
    this.root = files.makeQualified(path);
  }

  boolean has(String name) throws IOException {
    return files.exists(new Path(root, name));
  }

  byte[] read(String name) throws IOException {
    try (var in = files.open(new Path(root, name))) {
      return in.readAllBytes();
    }
  }

  /** Writes a file, or replaces it. */
  void write(String name, String content) throws IOException {
    Path file = new Path(root, name);
    try (OutputStream out = files.create(file, true)) {
      out.write(content.getBytes(UTF_8));
    } catch (FSError e) {
      throw unwritten(file, e);
    }
  }

  /** Copies a local file or folder here; a reader sees all of it or nothing. */
  void put(java.nio.file.Path local, String name) throws IOException {
    Path hidden = new Path(root, ".copying-" + name);
    files.delete(hidden, true);
    copy(local, hidden);
    show(hidden, new Path(root, name));
  }

  private void copy(java.nio.file.Path local, Path to) throws IOException {
    try {
      files.copyFromLocalFile(false, true, new Path(local.toUri()), to);
    } catch (FSError e) {
      throw unwritten(to, e);
    }
  }

  /** Hadoop has an error, not an exception, for a local disk that fails or is full. */
  private static IOException unwritten(Path file, FSError e) {
    return new IOException("writing " + file + " failed: " + e.getCause().getMessage(), e);
  }

  private void show(Path hidden, Path as) throws IOException {
    files.delete(as, true); // a rename would put the folder into one of that name
    if (!files.rename(hidden, as)) {
      throw new IOException("cannot rename " + hidden + " to " + as);
    }
  }

  /** Copies a file or a folder from here to a local path, whose parent exists. */
  java.nio.file.Path fetch(String name, java.nio.file.Path local) throws IOException {
    Path from = name.isEmpty() ? root : new Path(root, name);
    // The raw file system: without the checksums that Hadoop would put beside the files.
    files.copyToLocalFile(false, from, new Path(local.toUri()), true);
    return local;
  }

  /** Copies a model: of a run its latest checkpoint alone, else everything. */
  java.nio.file.Path fetchModel(java.nio.file.Path local) throws IOException {
    Optional<String> latest = latest();
    if (latest.isEmpty()) {
      return fetch("", local);
    }
    Files.createDirectories(local.resolve(CHECKPOINTS));
    for (FileStatus each : files.listStatus(root)) {
      String name = each.getPath().getName();
      if (each.isFile()) {
        fetch(name, local.resolve(name));
      }
    }
    String checkpoint = CHECKPOINTS + "/" + latest.get();
    fetch(checkpoint, local.resolve(checkpoint));
    return local;
  }

  void delete(String name) throws IOException {
    files.delete(new Path(root, name), true);
  }

  /** The name of the newest whole checkpoint; empty without one. */
  Optional<String> latest() throws IOException {
    List<String> whole = new ArrayList<>();
    for (String name : checkpoints()) {
      if (has(CHECKPOINTS + "/" + name + "/" + MANIFEST)) {
        whole.add(name);
      }
    }
    if (has(LATEST)) {
      String named = new String(read(LATEST), UTF_8).strip();
      if (whole.contains(named)) {
        return Optional.of(named);
      }
    }
    return whole.isEmpty() ? Optional.empty() : Optional.of(whole.getLast());
  }

  /** The step of a checkpoint, by its name. */
  static long step(String checkpoint) {
    return Long.parseLong(checkpoint.split("-")[1]);
  }

  /** The names of all checkpoints that are shown, the oldest first. */
  private List<String> checkpoints() throws IOException {
    try {
      return Arrays.stream(files.listStatus(new Path(root, CHECKPOINTS)))
          .filter(FileStatus::isDirectory)
          .map(folder -> folder.getPath().getName())
          .filter(name -> name.startsWith("step-"))
          .sorted()
          .toList();
    } catch (FileNotFoundException _) {
      return List.of();
    }
  }

  @Override
  public void copy(String name, List<java.nio.file.Path> local) throws IOException {
    for (java.nio.file.Path file : local) {
      copy(file, new Path(hidden(name), file.getFileName().toString()));
    }
  }

  private Path hidden(String checkpoint) {
    return new Path(root, CHECKPOINTS + "/.copying-" + checkpoint);
  }

  @Override
  public void show(String name, int keep, OptionalLong best) throws IOException {
    show(hidden(name), new Path(root, CHECKPOINTS + "/" + name));
    write(LATEST, name + "\n");
    List<String> all = checkpoints();
    for (String old : all.subList(0, Math.max(0, all.size() - keep))) {
      if (best.isEmpty() || step(old) != best.getAsLong()) {
        delete(CHECKPOINTS + "/" + old);
      }
    }
  }

  /** Removes what copies that did not end have left. */
  void tidy() throws IOException {
    Path checkpoints = new Path(root, CHECKPOINTS);
    files.mkdirs(checkpoints);
    for (FileStatus each : files.listStatus(checkpoints)) {
      if (each.getPath().getName().startsWith(".copying-")) {
        files.delete(each.getPath(), true);
      }
    }
  }

  @Override
  public String toString() {
    return root.toString();
  }
}
