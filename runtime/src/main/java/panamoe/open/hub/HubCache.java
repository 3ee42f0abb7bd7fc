package panamoe.open.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;

/**
 * The models in a cache, also those of other programs.
 *
 * @param folder with {@code models--OWNER--REPO}
 */
public record HubCache(Path folder) {
  /**
   * A model.
   *
   * @param snapshot that has its files; null if its download is not finished
   * @param bytes of its contents
   * @param shared bytes of these that other names keep
   * @param used when a content was last read, as far as the file system notes it
   */
  public record Model(
      ModelName name,
      Path snapshot,
      List<Path> files,
      long bytes,
      long shared,
      Optional<FileTime> used) {}

  /**
   * The models by name. What other programs keep of a repository is listed by the revision alone.
   *
   * @throws CheckpointException if the cache cannot be read
   */
  public List<Model> models() {
    List<Model> models = new ArrayList<>();
    try {
      for (Path repository : list(folder)) {
        String[] parts = repository.getFileName().toString().split("--");
        if (parts.length == 3 && parts[0].equals("models") && Files.isDirectory(repository)) {
          models.addAll(models(new ModelName(parts[1], parts[2], ModelName.MAIN, null)));
        }
      }
    } catch (IOException e) {
      throw CheckpointException.unread(folder, e);
    }
    return models;
  }

  private List<Model> models(ModelName name) throws IOException {
    ModelName any = new ModelName(name.owner(), name.repo(), ModelName.MAIN, null);
    CachedRepository repository = CachedRepository.of(folder, any);
    Path snapshots = repository.folder().path().resolve("snapshots");
    List<Path> all = walk(snapshots);
    List<Model> models = new ArrayList<>();
    for (Path snapshot : list(snapshots)) {
      List<String> names = repository.files(snapshot.getFileName().toString());
      Map<String, List<String>> variants = FileChoice.variants(names);
      List<String> rest = new ArrayList<>(names);
      variants.values().forEach(rest::removeAll);
      ModelName here = any.at(revision(repository, snapshot));
      if (variants.isEmpty() || weights(rest)) {
        models.add(model(here, snapshot, rest, all));
      }
      for (Map.Entry<String, List<String>> variant : variants.entrySet()) {
        models.add(model(here.with(variant.getKey()), snapshot, variant.getValue(), all));
      }
    }
    if (models.isEmpty() && Files.isDirectory(repository.folder().path())) {
      List<Path> parts = list(repository.folder().path().resolve("blobs"));
      models.add(new Model(any, null, List.of(), bytes(parts), 0, Optional.empty()));
    }
    return models;
  }

  /** The end of a sentence about a name: what there is of its repository. */
  String having(ModelName name) {
    try {
      return models(name).stream()
          .map(model -> model.name().toString())
          .reduce((all, next) -> all + ", " + next)
          .map(all -> ", which has " + all)
          .orElse("");
    } catch (IOException e) {
      throw CheckpointException.unread(folder, e);
    }
  }

  private static boolean weights(Collection<String> names) {
    return names.contains(HuggingFaceFolder.WHOLE) || names.contains(HuggingFaceFolder.INDEX);
  }

  /** The branch or tag of a snapshot, main before others; without one its commit. */
  private static String revision(CachedRepository repository, Path snapshot) throws IOException {
    String commit = snapshot.getFileName().toString();
    Path refs = repository.folder().path().resolve("refs");
    return Stream.concat(
            Stream.of(ModelName.MAIN),
            walk(refs).stream().map(ref -> refs.relativize(ref).toString()))
        .filter(name -> repository.commit(name).equals(Optional.of(commit)))
        .findFirst()
        .orElse(commit);
  }

  private static Model model(ModelName name, Path snapshot, List<String> names, List<Path> all)
      throws IOException {
    List<Path> files = names.stream().map(snapshot::resolve).toList();
    Set<Path> own = contents(files);
    Set<Path> shared = contents(without(all, files));
    shared.retainAll(own);
    FileTime used = null;
    for (Path content : own) {
      FileTime read = (FileTime) Files.getAttribute(content, "lastAccessTime");
      used = used == null || read.compareTo(used) > 0 ? read : used;
    }
    return new Model(name, snapshot, files, bytes(own), bytes(shared), Optional.ofNullable(used));
  }

  /**
   * Removes what {@link #models} lists by this name, or without a variant all of its revision, and
   * the contents that no other name has. With its last name a repository goes.
   *
   * @return the bytes that were freed
   * @throws CheckpointException if it is not there, or cannot be removed
   */
  public long remove(ModelName name) {
    CachedRepository repository = CachedRepository.of(folder, name);
    Path place = repository.folder().path();
    try {
      List<Model> there = models(name);
      List<Model> removed =
          there.stream()
              .filter(model -> model.name().equals(name) || model.name().with(null).equals(name))
              .toList();
      if (removed.isEmpty()) {
        throw new CheckpointException("%s is not in %s%s", name, folder, having(name));
      }
      long before = bytes(walk(place));
      if (removed.size() == there.size()) {
        delete(repository.locks().path());
        delete(place);
        return before;
      }
      for (Model model : removed) {
        boolean last =
            there.stream()
                .filter(other -> other.snapshot().equals(model.snapshot()))
                .allMatch(removed::contains);
        remove(repository, model, last);
      }
      return before - bytes(walk(place));
    } catch (IOException e) {
      throw CheckpointException.unwritten(place, e);
    }
  }

  /** First the names, so that none is left without a content. */
  private static void remove(CachedRepository repository, Model model, boolean last)
      throws IOException {
    Path place = repository.folder().path();
    String commit = model.snapshot().getFileName().toString();
    List<Path> files = last ? walk(model.snapshot()) : model.files();
    Set<Path> contents = contents(files);
    if (last) {
      Path refs = place.resolve("refs");
      for (Path ref : walk(refs)) {
        if (repository.commit(refs.relativize(ref).toString()).equals(Optional.of(commit))) {
          Files.delete(ref);
        }
      }
      delete(model.snapshot());
      delete(place.resolve("trees").resolve(commit + ".json"));
    } else {
      for (Path file : files) {
        Files.delete(file);
      }
    }
    contents.removeAll(contents(walk(place.resolve("snapshots"))));
    for (Path content : contents) {
      if (content.startsWith(place.resolve("blobs").toRealPath())) {
        Files.deleteIfExists(content);
      }
    }
  }

  private static List<Path> without(List<Path> all, List<Path> some) {
    Set<Path> left = new HashSet<>(all);
    some.forEach(left::remove);
    return List.copyOf(left);
  }

  /** What files are, or link to. */
  private static Set<Path> contents(Collection<Path> files) throws IOException {
    Set<Path> contents = new HashSet<>();
    for (Path file : files) {
      if (Files.exists(file)) {
        contents.add(file.toRealPath());
      }
    }
    return contents;
  }

  private static long bytes(Collection<Path> files) throws IOException {
    long bytes = 0;
    for (Path file : files) {
      bytes += Files.isSymbolicLink(file) ? 0 : Files.size(file);
    }
    return bytes;
  }

  private static List<Path> list(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> all = Files.list(folder)) {
      return all.sorted().toList();
    }
  }

  /** The files and links below a folder, at any depth. */
  private static List<Path> walk(Path folder) throws IOException {
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      return List.of();
    }
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(file -> !Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)).toList();
    }
  }

  private static void delete(Path place) throws IOException {
    if (Files.exists(place, LinkOption.NOFOLLOW_LINKS)) {
      try (Stream<Path> all = Files.walk(place)) {
        for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(each);
        }
      }
    }
  }
}
