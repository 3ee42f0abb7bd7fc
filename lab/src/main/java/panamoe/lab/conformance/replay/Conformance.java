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
   * @param kinds replay of a case; empty if its kind is unknown
   */
  public Conformance(
      Path folder, Backend backend, Function<GoldenFile, Optional<Consumer<Replay>>> kinds) {
    this.folder = folder;
    this.backend = backend;
    this.kinds = kinds;
  }

  /**
   * The cases under a folder, sorted by name. In a folder with a {@code config.json} only {@code
   * golden*} files are cases; the others are weights.
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

  /** The wanted files under a folder with this suffix, sorted by name. */
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

  /** Replays one file. Any exception becomes the failure of this case. */
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
      } catch (UnsupportedRule e) {
        return CaseResult.skipped(name, e.getMessage());
      } catch (RuntimeException e) {
        // Ranks as threads wrap the exception of one rank.
        Throwable told =
            e instanceof CommunicationException && e.getCause() != null ? e.getCause() : e;
        return CaseResult.failed(name, isWorded(told) ? told.getMessage() : golden.misfit());
      }
    } catch (CheckpointException e) {
      return CaseResult.failed(name, e.getMessage());
    }
  }

  /** True if the message is written for a user, and is not from a wrong index or size. */
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
