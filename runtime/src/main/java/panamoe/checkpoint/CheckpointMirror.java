package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * A place that all ranks reach, for checkpoints of ranks that share no folder: each rank writes its
 * files into a folder of its own, and copies them there. Used by the ranks' threads.
 */
public interface CheckpointMirror {
  /**
   * Copies files of this rank into a checkpoint that nobody sees yet.
   *
   * @param name of the checkpoint
   */
  void copy(String name, List<Path> files) throws IOException;

  /**
   * Shows a checkpoint, all of whose files are copied, as the latest one; on the first rank.
   *
   * @param keep number of newest checkpoints that stay
   * @param best the step of the best checkpoint, which stays too; empty without one
   */
  void show(String name, int keep, OptionalLong best) throws IOException;
}
