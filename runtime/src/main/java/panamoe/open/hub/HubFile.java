package panamoe.open.hub;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.Sha256;

/**
 * A file of a repository.
 *
 * @param path in the repository, with {@code /} between its parts
 * @param size in bytes
 * @param blob git's digest of the content; for a large file that of its pointer
 * @param sha256 of a large file's content; null for a small one
 */
record HubFile(String path, long size, String blob, String sha256) {
  private static final Pattern PATH =
      Pattern.compile("(?:(?!\\.{1,2}/)[^/\\\\\\p{Cntrl}]+/)*(?!\\.{1,2}$)[^/\\\\\\p{Cntrl}]+");
  private static final Pattern BLOB = Pattern.compile("[0-9a-f]{40}");
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

  /** Refuses what could lead out of the cache. */
  HubFile {
    if (!PATH.matcher(path).matches()
        || size < 0
        || !(sha256 == null ? BLOB.matcher(blob) : SHA256.matcher(sha256)).matches()) {
      throw new CheckpointException(
          "the hub lists a file '%s' of %s bytes with the digest %s, which cannot be",
          path, size, sha256 == null ? blob : sha256);
    }
  }

  /** The name of its content in the cache: its ETag. */
  String etag() {
    return sha256 == null ? blob : sha256;
  }

  /** A digest that gives {@link #etag} after the whole content. */
  MessageDigest digest() {
    if (sha256 != null) {
      return Sha256.digest();
    }
    try {
      MessageDigest git = MessageDigest.getInstance("SHA-1");
      git.update(("blob " + size + "\0").getBytes(UTF_8));
      return git;
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-1", e);
    }
  }
}
