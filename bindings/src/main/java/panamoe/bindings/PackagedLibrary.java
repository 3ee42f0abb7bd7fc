package panamoe.bindings;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URL;
import java.net.URLConnection;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The native library in a jar of {@code panamoe-native}: the file {@code
 * META-INF/panamoe/PLATFORM/libpanamoe.so}, and another that tells its SHA-256. The system's loader
 * needs a file, so the library is unpacked once into a folder of the user. Immutable.
 *
 * @param jars sees the jar's files, if there is one
 * @param platform as {@link Platform#name} says it
 * @param folders into which it may be unpacked, in this order
 */
record PackagedLibrary(ClassLoader jars, String platform, List<UnpackFolder> folders)
    implements SearchPath.Candidate {
  private static final String DIGEST_SUFFIX = ".sha256";

  /**
   * Unpacks the library, unless it already is, into the first folder from which it can be loaded.
   *
   * @return the file; empty if no jar has the library
   * @throws UnsatisfiedLinkError if several jars have different ones, the jar is damaged, no folder
   *     can be used, or the system's loader refuses the library; one sentence
   */
  @Override
  public Optional<Path> find() {
    Map<String, URL> byDigest = byDigest();
    if (byDigest.size() > 1) {
      throw new UnsatisfiedLinkError(
          "the class path has several versions of the native library; keep one of "
              + byDigest.values().stream()
                  .map(PackagedLibrary::jar)
                  .collect(Collectors.joining(", ")));
    }
    return byDigest.entrySet().stream()
        .findFirst()
        .map(only -> unpack(only.getKey(), only.getValue()));
  }

  private Map<String, URL> byDigest() {
    Map<String, URL> byDigest = new LinkedHashMap<>();
    try {
      for (URL library :
          Collections.list(
              jars.getResources("META-INF/panamoe/" + platform + "/" + SearchPath.FILE_NAME))) {
        URL digest = URI.create(library + DIGEST_SUFFIX).toURL();
        byDigest.putIfAbsent(
            new String(read(digest), StandardCharsets.US_ASCII).split(" ", 2)[0], library);
      }
    } catch (IOException e) {
      throw SharedObject.unsatisfied(
          "the native library of the class path cannot be read: " + e.getMessage(), e);
    }
    return byDigest;
  }

  private Path unpack(String digest, URL library) {
    List<String> refusals = new ArrayList<>();
    for (UnpackFolder folder : folders) {
      try {
        return folder.load(digest, () -> content(digest, library));
      } catch (UnpackFolder.Refused e) {
        refusals.add(e.getMessage());
      }
    }
    throw new UnsatisfiedLinkError(
        "the native library of "
            + jar(library)
            + " can be used from no folder ("
            + String.join("; ", refusals)
            + "): name one that may be written and executed from with -D"
            + UnpackFolder.PROPERTY
            + " or the environment variable "
            + UnpackFolder.VARIABLE);
  }

  private static byte[] content(String digest, URL library) {
    String reason = "it has another SHA-256 than it says";
    Throwable cause = null;
    try {
      byte[] content = read(library);
      if (UnpackFolder.sha256(content).equals(digest)) {
        return content;
      }
    } catch (IOException e) {
      reason = e.getMessage();
      cause = e;
    }
    throw SharedObject.unsatisfied(
        "the native library of " + jar(library) + " is damaged, fetch the jar again: " + reason,
        cause);
  }

  private static byte[] read(URL url) throws IOException {
    URLConnection connection = url.openConnection();
    connection.setUseCaches(false); // else the jar would stay open
    try (InputStream stream = connection.getInputStream()) {
      return stream.readAllBytes();
    }
  }

  /** The jar or folder that has the file, for messages. */
  private static String jar(URL library) {
    return library
        .toString()
        .replaceFirst("^jar:", "")
        .replaceFirst("^file:", "")
        .replaceFirst("!?/META-INF/.*", "");
  }

  @Override
  public String toString() {
    return "panamoe-native:" + platform + " (class path)";
  }
}
