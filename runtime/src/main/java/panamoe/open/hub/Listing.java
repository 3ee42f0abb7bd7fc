package panamoe.open.hub;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The files of a repository at a commit.
 *
 * @param files by path
 * @param architecture of its GGUF files, if the hub says it
 */
record Listing(String commit, Map<String, HubFile> files, Optional<String> architecture) {
  private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

  /** The format of {@link #json}, as huggingface_hub numbers it. */
  private static final int FORMAT = 1;

  /** Whether a revision is the digest of a commit, whose files never change. */
  static boolean isCommit(String revision) {
    return COMMIT.matcher(revision).matches();
  }

  /**
   * Reads the hub's answer about a revision.
   *
   * @throws CheckpointException if it is not such an answer, or a file's path leaves the repository
   */
  static Listing ofHub(JsonNode answer, String source) {
    String commit = answer.path("sha").asString("");
    if (!isCommit(commit) || !answer.path("siblings").isArray()) {
      throw new CheckpointException(
          "%s does not answer as a hub does, with the commit and the files of a revision", source);
    }
    Map<String, HubFile> files = new TreeMap<>();
    for (JsonNode file : answer.path("siblings")) {
      JsonNode large = file.path("lfs");
      put(
          files,
          file.path("rfilename").asString(""),
          file.path("size"),
          file.path("blobId"),
          large.path("sha256"));
    }
    return new Listing(
        commit, files, Optional.ofNullable(answer.at("/gguf/architecture").asString(null)));
  }

  /** Reads what {@link #json} gave; empty for another format. */
  static Optional<Listing> ofCache(JsonNode saved, String commit) {
    if (saved.path("format_version").asInt(0) != FORMAT || !saved.path("files").isObject()) {
      return Optional.empty();
    }
    Map<String, HubFile> files = new TreeMap<>();
    for (Map.Entry<String, JsonNode> file : saved.path("files").properties()) {
      JsonNode of = file.getValue();
      put(files, file.getKey(), of.path("size"), of.path("blob_id"), of.path("lfs_sha256"));
    }
    return Optional.of(new Listing(commit, files, Optional.empty()));
  }

  private static void put(
      Map<String, HubFile> files, String path, JsonNode size, JsonNode blob, JsonNode sha256) {
    long bytes = size.isIntegralNumber() && size.canConvertToLong() ? size.longValue() : -1;
    files.put(path, new HubFile(path, bytes, blob.asString(""), sha256.asString(null)));
  }

  /**
   * A file that must be there.
   *
   * @throws CheckpointException if it is not, as when an index names it
   */
  HubFile file(String path) {
    HubFile file = files.get(path);
    if (file == null) {
      throw new CheckpointException("the commit %s has no file %s", commit, path);
    }
    return file;
  }

  /** The listing as huggingface_hub keeps it in its cache. */
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode().put("format_version", FORMAT);
    ObjectNode all = json.putObject("files");
    for (HubFile file : files.values()) {
      ObjectNode each = all.putObject(file.path()).put("size", file.size());
      each.put("blob_id", file.blob());
      if (file.sha256() != null) {
        each.put("lfs_sha256", file.sha256()).put("lfs_size", file.size());
      }
    }
    return json;
  }
}
