package panamoe.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;

/** Loads the tensors of a checkpoint's model into targets. */
record ModelLoad(
    CheckedFiles files,
    Map<String, LoadTarget> destinations,
    Backend backend,
    boolean strict,
    DoubleConsumer progress) {
  /** Like {@link Checkpoint#loadModel}. */
  LoadReport whole(boolean allowExtra) {
    return load(allowExtra, true);
  }

  /** Like {@link Checkpoint#loadShare}. */
  LoadReport share() {
    return load(true, false);
  }

  /**
   * @param whole whether all bytes are read, and checksums compared
   */
  private LoadReport load(boolean allowExtra, boolean whole) {
    Path directory = files.directory();
    try (Shards shards = files.headers(Checkpoint.MODEL)) {
      Map<String, Mismatches.Expected> expected = new LinkedHashMap<>();
      destinations.forEach((name, to) -> expected.put(name, Mismatches.Expected.of(to)));
      Mismatches mismatches = Mismatches.between(shards.tensors(), expected, false);
      mismatches.throwIfAny(directory, allowExtra);
      List<String> warnings = new ArrayList<>();
      if (whole) {
        warnings.addAll(mismatches.extraWarning(directory));
      }
      WeightLoader loader = new WeightLoader(backend, whole, progress);
      for (SafetensorsReader file : shards.readers()) {
        for (StoredTensor tensor : file.tensors()) {
          LoadTarget to = destinations.get(tensor.name());
          if (to != null) {
            loader.add(tensor.name(), StoredRows.of(shards, tensor), to);
          } else if (whole) {
            loader.add(tensor.name(), StoredRows.bytes(shards, tensor), null);
          }
        }
      }
      loader.run();
      if (whole) {
        for (SafetensorsReader file : shards.readers()) {
          compare(file.path(), loader.checksum(file.headerChecksum(), file.tensors()));
        }
      }
      return loader.report(directory, destinations, strict, warnings);
    } catch (CheckpointException e) {
      throw files.orChange(Checkpoint.MODEL, e);
    }
  }

  private void compare(Path file, int found) {
    String expected = files.manifest().files().get(file.getFileName().toString()).crc32c();
    if (!expected.equals(Crc32c.hex(found))) {
      throw CheckpointException.damaged(
          "%s gave other bytes than were saved: their CRC-32C is %s, expected %s",
          file, Crc32c.hex(found), expected);
    }
  }
}
