package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import panamoe.comm.SelfCommunicator;
import panamoe.io.FileErrors;
import panamoe.io.WholeOrNothing;

/**
 * Writes a model as a folder that {@link Checkpoint#open} reads, without a trainer's state, and
 * with further files.
 */
public final class CheckpointFolder {
  private static final long SHARD_BYTES = 4L << 30;

  private CheckpointFolder() {}

  /**
   * Writes the folder under a hidden name next to {@code target}, and renames it once every file is
   * on the disk. After a failure nothing is left; remains of a killed process are deleted.
   *
   * @param target must not exist
   * @param contents without an optimizer's tensors; its state is not written
   * @param others contents of other files by relative path
   * @param check is called with the written folder before it is renamed; it may throw
   * @throws CheckpointException if it cannot be written
   */
  public static void write(
      Path target, CheckpointContents contents, Map<String, byte[]> others, Consumer<Path> check) {
    write(target, contents, others, check, new Disk((operation, path) -> {}));
  }

  static void write(
      Path target,
      CheckpointContents contents,
      Map<String, byte[]> others,
      Consumer<Path> check,
      Disk disk) {
    try {
      WholeOrNothing.make(
          target,
          folder -> {
            disk.createDirectory(folder);
            fill(folder, contents, others, disk);
            check.accept(folder);
          });
    } catch (FileSystemException e) {
      throw new CheckpointException("cannot write " + e.getFile() + ": " + FileErrors.reason(e), e);
    }
  }

  private static void fill(
      Path folder, CheckpointContents contents, Map<String, byte[]> others, Disk disk)
      throws IOException {
    for (Map.Entry<String, byte[]> file : others.entrySet()) {
      Path path = folder.resolve(file.getKey());
      disk.createDirectories(path.getParent());
      disk.write(path, file.getValue());
      disk.force(path.getParent());
    }
    ShardWriter writer =
        new ShardWriter(disk, Sharding.bounded(SHARD_BYTES), SelfCommunicator.WORLD);
    Map<String, Manifest.FileEntry> files =
        writer.write(folder, Checkpoint.MODEL, contents.model());
    Manifest.finish(disk, folder, contents, files);
    disk.force(folder);
  }
}
