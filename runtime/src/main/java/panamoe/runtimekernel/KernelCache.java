package panamoe.runtimekernel;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import panamoe.io.Sha256;
import panamoe.io.UserFolder;

/**
 * A disk cache of compiled kernels. A file is named by the SHA-256 of the compiler's inputs and
 * holds the image after its SHA-256; a damaged file counts as missing. Files are written
 * atomically, so several processes may share a cache. If the cache cannot be written, kernels are
 * compiled again. Thread-safe.
 *
 * @param folder null: no cache
 */
record KernelCache(Path folder) {
  private static final int DIGEST_BYTES = 32;

  /** The cache in PANAMOE_CACHE, or else in {@code panamoe/kernels} of the user's cache folder. */
  static KernelCache ofUser() {
    return new KernelCache(folder(System.getenv()).orElse(null));
  }

  static Optional<Path> folder(Map<String, String> environment) {
    String own = environment.get("PANAMOE_CACHE");
    return own == null || own.isBlank()
        ? UserFolder.CACHE.path(environment, "kernels")
        : Optional.of(Path.of(own).toAbsolutePath());
  }

  /** The cache key of a source compiled by this compiler version for this architecture. */
  static String key(KernelSource source, String architecture, String version) {
    MessageDigest digest = Sha256.digest();
    add(digest, version);
    add(digest, source.file());
    add(digest, source.text());
    source
        .headers()
        .forEach(
            (name, text) -> {
              add(digest, name);
              add(digest, text);
            });
    Nvrtc.options(source, architecture).forEach(option -> add(digest, option));
    return Sha256.hex(digest);
  }

  /** The image of this key. If it is missing, {@code compile} makes it and the cache keeps it. */
  byte[] get(String key, Supplier<byte[]> compile) {
    if (folder == null) {
      return compile.get();
    }
    Path file = folder.resolve(key);
    Optional<byte[]> kept = read(file);
    if (kept.isPresent()) {
      return kept.get();
    }
    byte[] image = compile.get();
    keep(file, image);
    return image;
  }

  private static Optional<byte[]> read(Path file) {
    try {
      byte[] content = Files.readAllBytes(file);
      if (content.length <= DIGEST_BYTES) {
        return Optional.empty();
      }
      byte[] image = Arrays.copyOfRange(content, DIGEST_BYTES, content.length);
      byte[] expected = Arrays.copyOf(content, DIGEST_BYTES);
      return Arrays.equals(Sha256.digest().digest(image), expected)
          ? Optional.of(image)
          : Optional.empty();
    } catch (IOException _) {
      return Optional.empty();
    }
  }

  private void keep(Path file, byte[] image) {
    Path written = null;
    try {
      Files.createDirectories(folder);
      written = Files.createTempFile(folder, "new", null);
      byte[] content = Arrays.copyOf(Sha256.digest().digest(image), DIGEST_BYTES + image.length);
      System.arraycopy(image, 0, content, DIGEST_BYTES, image.length);
      Files.write(written, content);
      Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException _) {
      discard(written);
    }
  }

  private static void discard(Path written) {
    try {
      if (written != null) {
        Files.deleteIfExists(written);
      }
    } catch (IOException _) {
      // On a failing disk, deleting the temporary file may fail too.
    }
  }

  /** Adds a string after its length, so that different lists never give the same bytes. */
  private static void add(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    digest.update((bytes.length + ":").getBytes(StandardCharsets.US_ASCII));
    digest.update(bytes);
  }
}
