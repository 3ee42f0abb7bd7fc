package panamoe.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;

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
  private static final Set<String> FIELDS =
      Set.of("format", "version", "panamoe", "step", "experts", "files", "sha256");

  /**
   * What is known of one file.
   *
   * @param size in bytes
   * @param sha256 in hexadecimal digits
   * @param crc32c in hexadecimal digits, computed from the same bytes: what {@link WeightLoader}
   *     compares. Null in manifests that have none
   */
  record FileEntry(long size, String sha256, String crc32c) {}

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
    return new Parser(path.toString(), SavedFile.object(path, MAX_BYTES)).parse();
  }

  private static String checksum(ObjectNode withoutChecksum) {
    MessageDigest digest = Sha256.digest();
    digest.update(StrictJson.bytes(withoutChecksum));
    return Sha256.hex(digest);
  }

  private record Parser(String path, ObjectNode json) {

    Manifest parse() {
      if (!json.path("format").asText().equals(FORMAT)) {
        throw bad("format", "\"" + FORMAT + "\"");
      }
      if (!json.path("version").equals(IntNode.valueOf(VERSION))) {
        throw new CheckpointException(
            "%s has the version %s; this version of Panamoe reads version %s",
            path, json.path("version"), VERSION);
      }
      Set<String> unknown = new TreeSet<>();
      json.fieldNames().forEachRemaining(unknown::add);
      unknown.removeAll(FIELDS);
      if (!unknown.isEmpty()) {
        throw new CheckpointException(path + " has the unknown field " + unknown.iterator().next());
      }
      ObjectNode unsigned = json.deepCopy();
      if (!checksum(unsigned.without("sha256")).equals(json.path("sha256").asText())) {
        throw CheckpointException.damaged(
            path + " was changed: its sha256 is not that of its content");
      }
      return new Manifest(text("panamoe"), whole(json.get("step"), "step"), experts(), files());
    }

    private List<Integer> experts() {
      if (!(json.get("experts") instanceof ArrayNode counts)) {
        throw bad("experts", "an array");
      }
      List<Integer> experts = new ArrayList<>();
      for (JsonNode count : counts) {
        long value = whole(count, "experts");
        if (value > Integer.MAX_VALUE) {
          throw bad("experts", "whole numbers below 2^31");
        }
        experts.add((int) value);
      }
      return List.copyOf(experts);
    }

    private Map<String, FileEntry> files() {
      if (!(json.get("files") instanceof ObjectNode entries)) {
        throw bad("files", "an object");
      }
      Map<String, FileEntry> files = new TreeMap<>();
      for (Map.Entry<String, JsonNode> entry : entries.properties()) {
        String name = entry.getKey();
        if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*")) {
          throw new CheckpointException(
              path + " names the file '" + name + "', which is not a plain file name");
        }
        JsonNode told = entry.getValue();
        String field = "files." + name + ".";
        files.put(
            name,
            new FileEntry(
                whole(told.get("size"), field + "size"),
                digits(told.get("sha256"), 64, field + "sha256"),
                digits(told.get("crc32c"), 8, field + "crc32c")));
      }
      return files;
    }

    private String text(String field) {
      JsonNode value = json.get(field);
      if (value == null || !value.isTextual()) {
        throw bad(field, "a string");
      }
      return value.asText();
    }

    private String digits(JsonNode value, int count, String field) {
      if (value == null || !value.asText().matches("[0-9a-f]{" + count + "}")) {
        throw bad(field, count + " hexadecimal digits");
      }
      return value.asText();
    }

    private long whole(JsonNode value, String field) {
      if (value == null
          || !value.isIntegralNumber()
          || !value.canConvertToLong()
          || value.asLong() < 0) {
        throw bad(field, "a whole number from 0 to 2^63-1");
      }
      return value.asLong();
    }

    private CheckpointException bad(String field, String expected) {
      return new CheckpointException(path + " has a bad field " + field + ", expected " + expected);
    }
  }
}
