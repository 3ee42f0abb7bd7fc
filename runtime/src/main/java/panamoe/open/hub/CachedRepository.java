package panamoe.open.hub;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.RegularFile;
import panamoe.io.SafeFolder;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;

/**
 * A repository in the cache, as huggingface_hub lays it out: contents in {@code blobs/ETAG}, links
 * to them in {@code snapshots/COMMIT/PATH}, the commit of a branch or tag in {@code refs/NAME}, the
 * files of a commit in {@code trees/COMMIT.json}.
 *
 * @param folder {@code models--OWNER--REPO}
 */
record CachedRepository(SafeFolder folder) {
  private static final int MOST_COMMIT = 128;
  private static final int MOST_LISTING = 64 << 20;

  static CachedRepository of(Path cache, ModelName name) {
    return new CachedRepository(
        new SafeFolder(cache.resolve("models--" + name.owner() + "--" + name.repo())));
  }

  /** The folder of locks of its blobs. */
  SafeFolder locks() {
    return new SafeFolder(
        folder.path().resolveSibling(".locks").resolve(folder.path().getFileName()));
  }

  /** The commit of a revision, as far as it is known here. */
  Optional<String> commit(String revision) {
    if (Listing.isCommit(revision)) {
      return Optional.of(revision);
    }
    Path file = folder.path().resolve("refs").resolve(revision);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return Optional.empty();
    }
    try {
      return Optional.of(new String(RegularFile.read(file, MOST_COMMIT), UTF_8).strip())
          .filter(Listing::isCommit);
    } catch (IOException e) {
      throw CheckpointException.unread(file, e);
    }
  }

  Path snapshot(String commit) {
    return folder.path().resolve("snapshots").resolve(commit);
  }

  /** The path of a file that is there, also by a link that leads out, which no reader follows. */
  boolean has(String commit, String file) {
    return Files.isRegularFile(snapshot(commit).resolve(file));
  }

  /** The paths of the files in a snapshot. */
  List<String> files(String commit) {
    Path snapshot = snapshot(commit);
    if (!Files.isDirectory(snapshot)) {
      return List.of();
    }
    try (Stream<Path> all = Files.walk(snapshot)) {
      return all.filter(Files::isRegularFile)
          .map(file -> snapshot.relativize(file).toString())
          .sorted()
          .toList();
    } catch (IOException e) {
      throw CheckpointException.unread(snapshot, e);
    } catch (UncheckedIOException e) {
      throw CheckpointException.unread(snapshot, e.getCause());
    }
  }

  /** All files of a commit, if a program has saved the list. */
  Optional<Listing> listing(String commit) {
    Path file = folder.path().resolve("trees").resolve(commit + ".json");
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return Optional.empty();
    }
    try {
      return Listing.ofCache(StrictJson.tree(RegularFile.read(file, MOST_LISTING)), commit);
    } catch (IOException e) {
      throw CheckpointException.unread(file, e);
    } catch (JacksonException e) {
      return Optional.empty(); // it can be had again
    }
  }

  /** Saves the list of a commit's files. */
  void save(Listing listing) throws IOException {
    make("trees");
    folder.replace("trees/" + listing.commit() + ".json", StrictJson.bytes(listing.json()));
  }

  /** Remembers the commit of a branch or tag, whose files are then all there. */
  void save(String revision, String commit) throws IOException {
    if (!revision.equals(commit) && !commit(revision).equals(Optional.of(commit))) {
      String name = "refs/" + revision;
      make(name.substring(0, name.lastIndexOf('/')));
      folder.replace(name, commit.getBytes(UTF_8));
    }
  }

  /** The path of a file's content. */
  Path blob(HubFile file) throws IOException {
    return folder.file(make("blobs") + "/" + file.etag());
  }

  /**
   * Gives a file's content its name in a snapshot.
   *
   * @throws CheckpointException if the name is another's, such as a link that leaves the cache
   */
  void link(String commit, HubFile file) throws IOException {
    String name = "snapshots/" + commit + "/" + file.path();
    make(name.substring(0, name.lastIndexOf('/')));
    Path link = folder.resolve(name);
    Path target = link.getParent().relativize(folder.path().resolve("blobs").resolve(file.etag()));
    try {
      Files.createSymbolicLink(link, target);
      SafeFolder.force(link.getParent());
    } catch (FileAlreadyExistsException e) {
      boolean same =
          Files.isSymbolicLink(link)
              ? Files.readSymbolicLink(link).equals(target)
              : Files.isRegularFile(link) && Files.size(link) == file.size();
      if (!same) {
        throw new CheckpointException(
            "%s is not the link to %s that a download makes: remove it", link, target);
      }
    }
  }

  /** Makes a folder and those above it; returns its name. */
  private String make(String name) throws IOException {
    folder.make();
    Path made = Path.of("");
    for (Path part : Path.of(name)) {
      made = made.resolve(part);
      folder.makeFolder(made.toString());
    }
    return name;
  }
}
