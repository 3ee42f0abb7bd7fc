package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.io.ConfigJson;
import panamoe.io.JarVersion;
import panamoe.io.Require;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The content of {@code manifest.json}, the last file that a save writes: sizes and checksums of
 * all files. It includes its own checksum, so that a changed manifest is detected too.
 *
 * @param panamoe the version of this software that wrote the checkpoint
 * @param experts the number of experts of each layer, 0 for a dense layer
 * @param files by plain file name
 */
record Manifest(String panamoe, long step, List<Integer> experts, Map<String, FileEntry> files) {
  static final String FILE_NAME = "manifest.json";

  private static final String FORMAT = "panamoe-checkpoint";
  private static final int VERSION = 1;
  private static final int MAX_BYTES = 64 << 20;

  /** The whole file. */
  private record Stored(
      String format,
      int version,
      String panamoe,
      long step,
      List<Integer> experts,
      Map<String, FileEntry> files,
      String sha256) {}

  /**
   * What is known of one file.
   *
   * @param size in bytes
   * @param sha256 in hexadecimal digits
   * @param crc32c in hexadecimal digits, computed from the same bytes: what {@link WeightLoader}
   *     compares
   */
  record FileEntry(long size, String sha256, String crc32c) {
    FileEntry {
      Require.notNegative("size", size);
      requireDigits("sha256", sha256, 64);
      requireDigits("crc32c", crc32c, 8);
    }

    private static void requireDigits(String name, String value, int count) {
      Require.that(
          value.matches("[0-9a-f]{" + count + "}"),
          "%s is '%s', expected %s hexadecimal digits",
          name,
          value,
          count);
    }
  }

  Manifest {
    Require.notNegative("step", step);
    for (Integer count : experts) {
      Require.that(count != null && count >= 0, "experts are %s, expected numbers from 0", experts);
    }
    files.forEach(
        (name, entry) -> {
          Require.that(
              name.matches("[A-Za-z0-9][A-Za-z0-9._-]*"),
              "the file '%s' is named, which is not a plain file name",
              name);
          Require.that(entry != null, "the file '%s' has no size and checksums", name);
        });
    experts = List.copyOf(experts);
    files = new TreeMap<>(files);
  }

  /** Writes the configuration of a checkpoint, and last the manifest of all its files. */
  static void finish(
      Disk disk, Path folder, CheckpointContents contents, Map<String, FileEntry> files)
      throws IOException {
    Path config = folder.resolve(Checkpoint.CONFIG);
    files.put(Checkpoint.CONFIG, disk.write(config, StrictJson.bytes(contents.config())));
    String version = JarVersion.orDevelopment(Manifest.class);
    Manifest manifest = new Manifest(version, contents.step(), contents.experts(), files);
    disk.write(folder.resolve(FILE_NAME), manifest.toJson());
  }

  byte[] toJson() {
    ObjectNode json = withoutChecksum();
    return StrictJson.bytes(json.put("sha256", checksum(json)));
  }

  /** The SHA-256 of its content, in hexadecimal digits; it changes with any of the files. */
  String sha256() {
    return checksum(withoutChecksum());
  }

  private ObjectNode withoutChecksum() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("format", FORMAT).put("version", VERSION).put("panamoe", panamoe).put("step", step);
    ArrayNode counts = json.putArray("experts");
    experts.forEach(counts::add);
    ObjectNode entries = json.putObject("files");
    new TreeMap<>(files)
        .forEach(
            (name, entry) ->
                entries
                    .putObject(name)
                    .put("size", entry.size())
                    .put("sha256", entry.sha256())
                    .put("crc32c", entry.crc32c()));
    return json;
  }

  /** Reads and checks the manifest of a checkpoint directory. */
  static Manifest read(Path directory) {
    Path path = directory.resolve(FILE_NAME);
    ObjectNode json = SavedFile.object(path, MAX_BYTES);
    if (!json.path("format").asString("").equals(FORMAT)) {
      throw new CheckpointException(
          "%s has the format %s, expected \"%s\"", path, json.path("format"), FORMAT);
    }
    if (!json.path("version").equals(IntNode.valueOf(VERSION))) {
      throw new CheckpointException(
          "%s has the version %s; this version of Panamoe reads version %s",
          path, json.path("version"), VERSION);
    }
    ObjectNode unsigned = json.deepCopy();
    if (!checksum(unsigned.without("sha256")).equals(json.path("sha256").asString(""))) {
      throw CheckpointException.damaged(
          path + " was changed: its sha256 is not that of its content");
    }
    try {
      Stored stored = ConfigJson.read(json, Stored.class, path.toString());
      return new Manifest(stored.panamoe, stored.step, stored.experts, stored.files);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(e.getMessage(), e);
    }
  }

  private static String checksum(ObjectNode withoutChecksum) {
    MessageDigest digest = Sha256.digest();
    digest.update(StrictJson.bytes(withoutChecksum));
    return Sha256.hex(digest);
  }
}
