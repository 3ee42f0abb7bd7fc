package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.io.FileErrors;
import panamoe.io.Words;

/** The files of a checkpoint, compared with its manifest. Immutable. */
record CheckedFiles(Path directory, Manifest manifest) {
  /** Most bytes to read for explaining a failure: their checksums take a second or two. */
  private static final long MOST_COMPARED = 1L << 30;

  /** Refuses a file that is missing, has another size or is not a regular file. */
  void requireSizes() {
    manifest.files().forEach(this::requireSize);
  }

  private void requireSize(String name, Manifest.FileEntry entry) {
    Path path = directory.resolve(name);
    try {
      SavedFile.open(path).close();
      Map<String, Object> attributes =
          FileErrors.twice(
              () -> Files.readAttributes(path, "unix:size,nlink", LinkOption.NOFOLLOW_LINKS));
      if (!attributes.get("nlink").equals(1)) {
        throw new CheckpointException(
            path + " has " + attributes.get("nlink") + " hard links, a checkpoint's file has one");
      }
      if (!attributes.get("size").equals(entry.size())) {
        throw CheckpointException.damaged(
            path + " has " + attributes.get("size") + " bytes, expected " + entry.size());
      }
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
  }

  /** A file after a comparison with its checksum. Reads it completely. */
  Path checked(String name) {
    change(name)
        .ifPresent(
            changed -> {
              throw CheckpointException.damaged(changed).with(DamageAdvice.of(directory));
            });
    return directory.resolve(name);
  }

  /** How a file changed since it was saved; empty if it did not. */
  Optional<String> change(String name) {
    Path path = directory.resolve(name);
    String expected = manifest.files().get(name).sha256();
    String found = SavedFile.sha256(path);
    return found.equals(expected)
        ? Optional.empty()
        : Optional.of(
            Words.of(
                "%s was changed since it was saved: its SHA-256 is %s, expected %s",
                path, found, expected));
  }

  /** The names of a part's files. */
  List<String> shards(String part) {
    List<String> names =
        manifest.files().keySet().stream()
            .filter(name -> name.matches(part + "(-\\d+-of-\\d+)?\\.safetensors"))
            .toList();
    if (names.isEmpty()) {
      throw new CheckpointException(
          directory.resolve(Manifest.FILE_NAME) + " lists no " + part + ".safetensors");
    }
    return names;
  }

  /** Bytes of a part's files. */
  long bytes(String part) {
    return shards(part).stream().mapToLong(name -> manifest.files().get(name).size()).sum();
  }

  /** A part's tensors, without a check of their files' checksums. The caller closes it. */
  Shards headers(String part) {
    return Shards.open(directory, shards(part).stream().map(directory::resolve).toList());
  }

  /** A part's tensors, after a comparison of their files' checksums. The caller closes it. */
  Shards open(String part) {
    return Shards.open(directory, shards(part).stream().map(this::checked).toList());
  }

  /**
   * The reason of a failure to use a part's files: a changed file, if one is found, explains more
   * than {@code failure} itself. Long files are not searched for a change.
   */
  CheckpointException orChange(String part, CheckpointException failure) {
    if (!(failure.getCause() instanceof IOException) && bytes(part) <= MOST_COMPARED) {
      shards(part).forEach(this::checked);
    }
    return failure;
  }
}
