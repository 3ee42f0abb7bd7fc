package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.io.FileErrors;
import panamoe.io.PathKind;
import panamoe.io.RegularFile;
import panamoe.io.Require;
import panamoe.io.StrictJson;
import panamoe.io.TemporaryName;
import panamoe.io.Words;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A folder of checkpoints, one directory each, and a file {@code latest} that names the one to
 * resume.
 *
 * <p>A save writes into a hidden directory, forces every file to the disk, renames the directory,
 * and then renames a new {@code latest} over the old one. So the previous checkpoint survives a
 * killed process, a full disk and a power failure; the next save removes the remains. Only one
 * process, or one world of ranks with a shared folder, may save at a time. A store is used by one
 * thread.
 */
public final class CheckpointStore {
  /** The key of a trainer's state with the step whose checkpoint is the best so far. */
  public static final String BEST = "best_step";

  private static final String LATEST = "latest";
  private static final Pattern NAME = Pattern.compile("step-(\\d{8,19})(?:-(\\d{1,9}))?");
  private static final long SHARD_BYTES = 4L << 30;
  private static final int LONGEST_POINTER = 1000;

  /**
   * Retries of a reader whose checkpoint was deleted. A save takes longer than opening the next
   * checkpoint, so few are needed.
   */
  private static final int ATTEMPTS = 100;

  private final Path directory;
  private final int keep;
  private final Sharding sharding;
  private final Disk disk;
  private final CheckpointMirror mirror; // null: all ranks write into one directory

  /**
   * @param directory of the checkpoints; created by the first save
   * @param keep number of newest checkpoints that a save keeps, at least 1
   */
  public CheckpointStore(Path directory, int keep) {
    this(directory, keep, Sharding.bounded(SHARD_BYTES), (operation, path) -> {});
  }

  /** A store of one checkpoint, whose model is split into {@code files} of about equal size. */
  public static CheckpointStore inFiles(Path directory, int files) {
    return new CheckpointStore(directory, 1, Sharding.files(files), (operation, path) -> {});
  }

  /**
   * A store of ranks that share no directory. It only saves: the mirror has the checkpoints.
   *
   * @param directory of this rank, for its files of a checkpoint until they are copied
   */
  public static CheckpointStore mirrored(Path directory, int keep, CheckpointMirror mirror) {
    return new CheckpointStore(
        directory, keep, Sharding.bounded(SHARD_BYTES), (operation, path) -> {}, mirror);
  }

  CheckpointStore(Path directory, int keep, Sharding sharding, Disk.Listener listener) {
    this(directory, keep, sharding, listener, null);
  }

  CheckpointStore(
      Path directory,
      int keep,
      Sharding sharding,
      Disk.Listener listener,
      CheckpointMirror mirror) {
    Require.that(keep >= 1, "keep is %s, expected at least 1", keep);
    this.directory = directory;
    this.keep = keep;
    this.sharding = sharding;
    this.disk = new Disk(listener);
    this.mirror = mirror;
  }

  /**
   * Saves from a single rank that holds everything; see {@link #save(CheckpointContents,
   * Communicator)}.
   */
  public SaveReport save(CheckpointContents contents) {
    return save(contents, SelfCommunicator.WORLD);
  }

  /**
   * Saves a checkpoint, makes it the latest and deletes the oldest beyond {@code keep}, except the
   * one that the state calls the {@link #BEST}. Collective: each rank passes the tensors that it
   * writes; the other contents are the first rank's. All ranks write into one directory.
   *
   * @throws CheckpointException on all ranks if anything could not be written; earlier checkpoints
   *     are intact
   * @throws IllegalStateException on the first rank, if this process is saving there already
   */
  public SaveReport save(CheckpointContents contents, Communicator ranks) {
    try (SaveLock turn = new SaveLock()) {
      CollectiveDisk.firstDoes(
          ranks,
          () -> {
            disk.createDirectories(directory);
            turn.take(directory);
          });
      return write(contents, ranks);
    } catch (IOException e) {
      throw new CheckpointException(unsaved(contents.step(), null, e), e);
    }
  }

  private SaveReport write(CheckpointContents contents, Communicator ranks) {
    CheckpointCleanup leftovers = new CheckpointCleanup(directory, disk);
    Path target = directory.resolve(sharedPath(ranks, unusedName(contents.step())));
    Path temporary = directory.resolve(sharedPath(ranks, TemporaryName.of(target)));
    try {
      CollectiveDisk.firstDoes(
          ranks,
          () -> {
            leftovers.removeStale();
            disk.createDirectory(temporary);
          });
      if (mirror != null) {
        CollectiveDisk.allDo(ranks, () -> disk.createDirectories(temporary));
      }
      ShardWriter writer = new ShardWriter(disk, sharding, ranks);
      Map<String, Manifest.FileEntry> files =
          writer.write(temporary, Checkpoint.MODEL, contents.model());
      files.putAll(writer.write(temporary, Checkpoint.OPTIMIZER, contents.optimizer()));
      CollectiveDisk.firstDoes(
          ranks,
          () -> {
            files.put(
                Checkpoint.STATE,
                disk.write(
                    temporary.resolve(Checkpoint.STATE), StrictJson.bytes(contents.state())));
            Manifest.finish(disk, temporary, contents, files);
            if (mirror == null) {
              disk.force(temporary);
              disk.rename(temporary, target);
              disk.force(directory);
              pointTo(target);
            }
          });
      if (mirror != null) {
        mirror(temporary, target.getFileName().toString(), best(contents.state()), ranks);
        leftovers.remove(temporary);
      } else if (ranks.rank() == 0) {
        leftovers.removeOld(() -> surplus(target, best(contents.state())));
      }
      return new SaveReport(target, leftovers.undeleted());
    } catch (IOException e) {
      cleanUpAfter(e, ranks);
      throw new CheckpointException(unsaved(contents.step(), target, e), e);
    } catch (RuntimeException | Error e) {
      cleanUpAfter(e, ranks);
      throw e;
    }
  }

  /** Copies every rank's files, and then the manifest; the copies replace the files. */
  private void mirror(Path mine, String name, OptionalLong best, Communicator ranks)
      throws IOException {
    Path manifest = mine.resolve(Manifest.FILE_NAME);
    CollectiveDisk.allDo(
        ranks,
        () -> {
          List<Path> files = new ArrayList<>(Disk.list(mine));
          files.remove(manifest);
          mirror.copy(name, files);
        });
    CollectiveDisk.firstDoes(
        ranks,
        () -> {
          mirror.copy(name, List.of(manifest));
          mirror.show(name, keep, best);
        });
  }

  /**
   * The message of a failed save; it names the checkpoint that a run will resume.
   *
   * @param target of the save, or null
   */
  private String unsaved(long step, Path target, IOException failure) {
    String reason = FileErrors.sentence(failure);
    String standing = "";
    try {
      Optional<Path> latest = latest();
      if (latest.filter(path -> path.equals(target)).isPresent()) {
        return Words.of(
            "step %s is saved as %s, but may be lost in a power failure: %s", step, target, reason);
      }
      standing = latest.map(path -> "; the latest checkpoint is " + path.getFileName()).orElse("");
    } catch (CheckpointException e) {
      failure.addSuppressed(e);
    }
    return "cannot save step " + step + " in " + directory + ": " + reason + standing;
  }

  /** The first rank's path of the file. */
  private static String sharedPath(Communicator ranks, Path path) {
    return new String(ranks.broadcast(path.getFileName().toString().getBytes(UTF_8), 0), UTF_8);
  }

  /**
   * The checkpoint to resume: the one that {@code latest} names or, if that is gone, the newest;
   * empty if there is no checkpoint. It may be damaged, which {@link Checkpoint#open} detects. Only
   * the user decides whether to resume an older one: no save leaves a damaged one.
   */
  public Optional<Path> latest() {
    for (; ; ) {
      Optional<Path> pointed = pointed();
      List<Path> all = checkpoints(); // unless a later save has deleted it
      if (pointed.filter(all::contains).isPresent()) {
        return pointed;
      }
      if (pointed().equals(pointed)) {
        return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
      }
    }
  }

  /**
   * Opens {@link #latest()}.
   *
   * @throws CheckpointException if it cannot be read or is damaged
   */
  public Optional<Checkpoint> openLatest() {
    return readLatest(checkpoint -> checkpoint);
  }

  /**
   * Passes the latest checkpoint to {@code reader}, or its successor if another process deletes it
   * meanwhile. Empty if there is no checkpoint.
   */
  <T> Optional<T> readLatest(Function<Checkpoint, T> reader) {
    for (int attempt = 1; ; attempt++) {
      Optional<Path> latest = latest();
      if (latest.isEmpty() && (attempt == ATTEMPTS || !savedBefore())) {
        return Optional.empty();
      }
      try {
        if (latest.isPresent()) {
          return Optional.of(reader.apply(opened(latest.get())));
        }
      } catch (CheckpointException e) {
        boolean stands = !Checkpoint.isGone(latest.get()) && latest.equals(latest());
        if (attempt == ATTEMPTS || stands) {
          throw e;
        }
      }
    }
  }

  /** Adds advice for proven damage only: a checkpoint that could not be read may be intact. */
  private static Checkpoint opened(Path path) {
    try {
      return Checkpoint.openDirectory(path);
    } catch (CheckpointException e) {
      boolean missing = e.getCause() instanceof NoSuchFileException && !Checkpoint.isGone(path);
      throw e.isDamage() || missing ? e.with(DamageAdvice.of(path)) : e;
    }
  }

  /** Whether a checkpoint was ever saved here, even if it was deleted since. */
  public boolean savedBefore() {
    return kindOf(directory.resolve(LATEST)) != PathKind.NONE;
  }

  /** The directories of all checkpoints, oldest first, damaged ones too. */
  public List<Path> checkpoints() {
    try {
      return Disk.list(directory).stream()
          .filter(path -> NAME.matcher(path.getFileName().toString()).matches())
          .filter(path -> kindOf(path) == PathKind.FOLDER)
          .sorted(
              Comparator.comparingLong((Path path) -> number(path, 1))
                  .thenComparingLong(path -> number(path, 2)))
          .toList();
    } catch (NoSuchFileException | NotDirectoryException e) {
      return List.of();
    } catch (IOException e) {
      throw new CheckpointException(
          "cannot list the checkpoints in " + directory + ": " + FileErrors.reason(e), e);
    }
  }

  private static PathKind kindOf(Path path) {
    try {
      return PathKind.at(path);
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
  }

  private void pointTo(Path target) throws IOException {
    Path temporary = TemporaryName.of(directory.resolve(LATEST));
    disk.write(temporary, (target.getFileName() + "\n").getBytes(UTF_8));
    disk.rename(temporary, directory.resolve(LATEST));
    disk.force(directory);
  }

  private Optional<Path> pointed() {
    Path pointer = directory.resolve(LATEST);
    try {
      String name =
          new String(RegularFile.read(pointer, LONGEST_POINTER), StandardCharsets.ISO_8859_1)
              .strip();
      return NAME.matcher(name).matches() ? Optional.of(directory.resolve(name)) : Optional.empty();
    } catch (NoSuchFileException | NotDirectoryException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw CheckpointException.unread(pointer, e);
    }
  }

  /** Checkpoints older than the {@code keep} newest, which include {@code saved}. */
  private List<Path> surplus(Path saved, OptionalLong best) {
    List<Path> others = checkpoints().stream().filter(path -> !path.equals(saved)).toList();
    Optional<Path> kept = of(best);
    return others.subList(0, Math.max(0, others.size() - (keep - 1))).stream()
        .filter(path -> !kept.equals(Optional.of(path)))
        .toList();
  }

  /** The step of the best checkpoint, by a trainer's state. */
  static OptionalLong best(ObjectNode state) {
    JsonNode step = state.path(BEST);
    return step.canConvertToLong() ? OptionalLong.of(step.asLong()) : OptionalLong.empty();
  }

  /** The newest checkpoint of a step. */
  private Optional<Path> of(OptionalLong step) {
    return step.isEmpty()
        ? Optional.empty()
        : checkpoints().reversed().stream()
            .filter(path -> number(path, 1) == step.getAsLong())
            .findFirst();
  }

  /**
   * Like {@link #readLatest}, of the best checkpoint if the latest names it and it is there still.
   */
  <T> Optional<T> readBest(Function<Checkpoint, T> reader) {
    return readLatest(
        latest ->
            reader.apply(
                of(latest.bestStep())
                    .filter(best -> !best.equals(latest.directory()))
                    .map(CheckpointStore::opened)
                    .orElse(latest)));
  }

  private void cleanUpAfter(Throwable failure, Communicator ranks) {
    if (ranks.rank() == 0 || mirror != null) {
      new CheckpointCleanup(directory, disk).removeStaleAfter(failure);
    }
  }

  private Path unusedName(long step) {
    Path path = directory.resolve(Words.of("step-%08d", step));
    for (int repeat = 2; Files.exists(path, LinkOption.NOFOLLOW_LINKS); repeat++) {
      path = directory.resolve(Words.of("step-%08d-%d", step, repeat));
    }
    return path;
  }

  private static long number(Path checkpoint, int group) {
    Matcher matcher = NAME.matcher(checkpoint.getFileName().toString());
    return matcher.matches() && matcher.group(group) != null
        ? Long.parseLong(matcher.group(group))
        : 0;
  }
}
