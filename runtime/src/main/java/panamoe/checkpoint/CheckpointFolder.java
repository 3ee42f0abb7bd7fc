package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import panamoe.comm.Alone;
import panamoe.io.FileTrouble;
import panamoe.io.HiddenName;
import panamoe.io.JarVersion;
import panamoe.io.PlainFolder;
import panamoe.io.StrictJson;

/**
 * Writes a checkpoint as a folder of its own, for a model that no run goes on with: what {@link
 * Checkpoint#open} reads of it, without a trainer's state, and files of others beside it.
 */
public final class CheckpointFolder {
  private static final long SHARD_BYTES = 4L << 30;

  private CheckpointFolder() {}

  /**
   * Writes the folder beside its place under a hidden name, and renames it once every file is on
   * the disk. If anything fails nothing is left; what a killed process left of it is deleted.
   *
   * @param target where nothing may be yet
   * @param contents without tensors of an optimizer; its state is not written
   * @param beside contents of other files by name, some perhaps in a folder of it
   * @param check is called with the written folder before it is renamed; what it throws ends all
   * @throws CheckpointException if it cannot be written
   */
  public static void write(
      Path target, CheckpointContents contents, Map<String, byte[]> beside, Consumer<Path> check) {
    write(target, contents, beside, check, new Disk((operation, path) -> {}));
  }

  static void write(
      Path target,
      CheckpointContents contents,
      Map<String, byte[]> beside,
      Consumer<Path> check,
      Disk disk) {
    Path place = target.toAbsolutePath().normalize();
    Path parent = place.getParent();
    Path temporary = HiddenName.of(place);
    List<Path> missing = PlainFolder.missing(parent);
    try {
      disk.createDirectories(parent);
      for (Path stale : HiddenName.staleOf(place)) {
        disk.delete(stale);
      }
      disk.createDirectory(temporary);
      for (Map.Entry<String, byte[]> file : beside.entrySet()) {
        Path path = temporary.resolve(file.getKey());
        disk.createDirectories(path.getParent());
        disk.write(path, file.getValue());
        disk.force(path.getParent());
      }
      ShardWriter writer = new ShardWriter(disk, Sharding.bounded(SHARD_BYTES), Alone.WORLD);
      Map<String, Manifest.FileEntry> files =
          writer.write(temporary, Checkpoint.MODEL, contents.model());
      files.put(
          Checkpoint.CONFIG,
          disk.write(temporary.resolve(Checkpoint.CONFIG), StrictJson.bytes(contents.config())));
      String version = JarVersion.orDevelopment(CheckpointFolder.class);
      Manifest manifest = new Manifest(version, contents.step(), contents.experts(), files);
      disk.write(temporary.resolve(Manifest.FILE_NAME), manifest.toJson());
      disk.force(temporary);
      check.accept(temporary);
      if (Files.exists(place, LinkOption.NOFOLLOW_LINKS)) {
        throw new IOException(place + " has appeared meanwhile");
      }
      disk.rename(temporary, place);
      disk.force(parent);
    } catch (IOException e) {
      remove(temporary, missing, disk, e);
      throw new CheckpointException("cannot write " + target + ": " + FileTrouble.sentence(e), e);
    } catch (RuntimeException | Error e) {
      remove(temporary, missing, disk, e);
      throw e;
    }
  }

  private static void remove(Path temporary, List<Path> made, Disk disk, Throwable failure) {
    try {
      disk.delete(temporary);
      PlainFolder.removeEmpty(made);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }
}
