package panamoe.checkpoint;

import java.nio.file.Path;

/** The advice for a checkpoint that is proven to be damaged. It never says to delete anything. */
final class DamageAdvice {
  private DamageAdvice() {}

  /**
   * The end of a message: names the newest intact checkpoint in the folder of {@code damaged}.
   * Empty if there is no such checkpoint or the folder cannot be read; the damage is reported
   * anyway.
   */
  static String of(Path damaged) {
    Path folder = damaged.resolve("..").normalize();
    try {
      return new CheckpointStore(folder, 1)
          .checkpoints().reversed().stream()
              .filter(other -> !other.getFileName().equals(damaged.getFileName()))
              .filter(DamageAdvice::isIntact)
              .findFirst()
              .map(
                  other ->
                      "; "
                          + other
                          + " next to it is intact: take that one, or move "
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
      return false; // or could not be read
    }
  }
}
