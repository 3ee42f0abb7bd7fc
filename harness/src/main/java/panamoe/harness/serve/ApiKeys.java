package panamoe.harness.serve;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import panamoe.harness.UserText;
import panamoe.io.Require;
import panamoe.io.Sha256;

/** The keys of which a client needs one, or none. Thread-safe. */
record ApiKeys(List<byte[]> digests) {
  private static final String BEARER = "Bearer ";

  /** No key is needed. */
  static final ApiKeys NONE = new ApiKeys(List.of());

  /**
   * Reads a file with one key per line, without empty lines and those that begin with #.
   *
   * @throws IllegalArgumentException if it has no key
   */
  static ApiKeys read(Path file) throws IOException {
    List<byte[]> digests =
        UserText.of(file)
            .lines()
            .map(String::strip)
            .filter(line -> !line.isEmpty() && !line.startsWith("#"))
            .map(ApiKeys::digest)
            .toList();
    Require.that(!digests.isEmpty(), "%s has no key, expected one a line", file);
    return new ApiKeys(digests);
  }

  /**
   * The user of a request: the number of its key, or empty if no key is needed. Takes the same time
   * for a wrong key as for a right one.
   *
   * @param authorization the header; null if absent
   * @throws ApiError 401 if a key is needed and this is not a key
   */
  String user(String authorization) {
    if (digests.isEmpty()) {
      return "";
    }
    boolean bearer =
        authorization != null && authorization.regionMatches(true, 0, BEARER, 0, BEARER.length());
    byte[] asked = digest(bearer ? authorization.substring(BEARER.length()).strip() : "");
    int found = -1;
    for (int i = 0; i < digests.size(); i++) {
      if (MessageDigest.isEqual(asked, digests.get(i))) {
        found = i;
      }
    }
    if (found < 0) {
      throw ApiError.unauthorized();
    }
    return "key " + found;
  }

  private static byte[] digest(String key) {
    return Sha256.digest().digest(key.getBytes(StandardCharsets.UTF_8));
  }
}
