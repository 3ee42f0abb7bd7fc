package panamoe.checkpoint;

import java.nio.file.Path;

/** How to go on where a checkpoint is proved to be damaged. Nobody is told to delete anything. */
final class Remedy {
  private Remedy() {}

  /**
   * For the end of a sentence: the newest other checkpoint in the folder of {@code damaged} of
   * which all files were read and have their checksums. Empty if there is none, or if it cannot be
   * known: the damage is told all the same.
   */
  static String of(Path damaged) {
    Path folder = damaged.resolve("..").normalize();
    try {
      return new CheckpointStore(folder, 1)
          .checkpoints().reversed().stream()
              .filter(other -> !other.getFileName().equals(damaged.getFileName()))
              .filter(Remedy::isIntact)
              .findFirst()
              .map(
                  other ->
                      "; "
                          + other
                          + " beside it is intact: take that one, or move "
                          + damaged.getFileName()
                          + " out of the folder to go on from there")
              .orElse("");
    } catch (CheckpointException _) {
      return "";
    }
  }

  private static boolean isIntact(Path directory) {
    try {
      return Checkpoint.openDirectory(directory).isIntact();
    } catch (CheckpointException e) {
      return false; // or not known to be
    }
  }
}
