package panamoe.lab.conformance.replay;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.comm.CommunicationException;

/** Replays recorded cases on one backend. */
public final class Conformance {
  private static final String SUFFIX = ".safetensors";

  private final Path folder;
  private final Backend backend;
  private final Function<GoldenFile, Optional<Consumer<Replay>>> kinds;

  /**
   * @param folder names of cases are relative to it
   * @param kinds how a case is replayed; empty if nothing knows
   */
  public Conformance(
      Path folder, Backend backend, Function<GoldenFile, Optional<Consumer<Replay>>> kinds) {
    this.folder = folder;
    this.backend = backend;
    this.kinds = kinds;
  }

  /**
   * The cases under a folder, in the order of their names. The weights of a checkpoint are no case:
   * of a folder with a {@code config.json} only {@code golden*} files count.
   */
  public static List<Path> cases(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      throw new NoSuchFileException(folder.toString());
    }
    if (!Files.isDirectory(folder)) {
      throw new NotDirectoryException(folder.toString());
    }
    return files(
        folder,
        SUFFIX,
        file -> file.getFileName().toString().startsWith("golden") || !GoldenFile.isOfModel(file));
  }

  /** The wanted files under a folder whose names end so, in the order of their names. */
  public static List<Path> files(Path folder, String suffix, Predicate<Path> wanted)
      throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> file.getFileName().toString().endsWith(suffix))
          .filter(file -> Files.isRegularFile(file) && wanted.test(file))
          .sorted()
          .toList();
    }
  }

  /** Replays one file; whatever goes wrong in it is the failure of this case alone. */
  public CaseResult replay(Path file) {
    String relative = folder.relativize(file).toString();
    String name = relative.substring(0, relative.length() - SUFFIX.length());
    try (GoldenFile golden = new GoldenFile(file)) {
      Optional<Consumer<Replay>> kind = kinds.apply(golden);
      if (kind.isEmpty()) {
        return CaseResult.failed(name, "unknown case kind '" + golden.kind() + "'");
      }
      try (Replay replay = new Replay(golden, backend)) {
        kind.get().accept(replay);
        for (String tensor : golden.unread()) {
          replay.require(false, tensor + " is recorded and not compared");
        }
        return replay.result(name);
      } catch (NotDescribed e) {
        return CaseResult.skipped(name, e.getMessage());
      } catch (RuntimeException e) {
        // What ranks as threads tell is the exception of one of them.
        Throwable told =
            e instanceof CommunicationException && e.getCause() != null ? e.getCause() : e;
        return CaseResult.failed(name, isWorded(told) ? told.getMessage() : golden.misfit());
      }
    } catch (CheckpointException e) {
      return CaseResult.failed(name, e.getMessage());
    }
  }

  /**
   * Whether what failed was meant for a reader, and is not what a wrong index or size brought
   * about.
   */
  private static boolean isWorded(Throwable failure) {
    for (Throwable each = failure; each != null; each = each.getCause()) {
      boolean worded =
          each.getClass() == IllegalArgumentException.class
              || each.getClass().getName().startsWith("panamoe.");
      if (!worded || each.getMessage() == null) {
        return false;
      }
    }
    return true;
  }
}
