package panamoe.runtimekernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import panamoe.io.Words;

/**
 * A folder of precompiled kernels, for machines without NVRTC. A file is named by the SHA-256 of
 * source and options. Thread-safe.
 */
record ReadyKernels(Path folder) implements KernelImages {
  static final String VARIABLE = "PANAMOE_READY_KERNELS";

  /** The folder that PANAMOE_READY_KERNELS names; empty if it is not set. */
  static Optional<KernelImages> named() {
    return Optional.ofNullable(System.getenv(VARIABLE))
        .filter(value -> !value.isBlank())
        .map(value -> new ReadyKernels(Path.of(value)));
  }

  /** Stores an image for devices of this target, and later ones with the same major number. */
  void keep(RuntimeKernel kernel, String target, byte[] image) throws IOException {
    Files.createDirectories(folder);
    Files.write(file(kernel, target), image);
  }

  /**
   * The image for this target, or for the nearest earlier one with the same major number.
   *
   * @throws UnsatisfiedLinkError if the folder has none; one sentence
   */
  @Override
  public byte[] of(RuntimeKernel kernel, String target) {
    String major = target.substring(0, target.length() - 1);
    for (int minor = Character.digit(target.charAt(target.length() - 1), 10); minor >= 0; minor--) {
      Path file = file(kernel, major + minor);
      try {
        return Files.readAllBytes(file);
      } catch (NoSuchFileException _) {
        // An earlier target may have it.
      } catch (IOException e) {
        throw new UnsatisfiedLinkError("the kernel " + file + " cannot be read: " + e.getMessage());
      }
    }
    throw new UnsatisfiedLinkError(
        Words.of(
            "%s, which %s names, has no image of %s for %s: unset it to have the kernel compiled",
            folder, VARIABLE, kernel.source().file(), target));
  }

  private Path file(RuntimeKernel kernel, String target) {
    return folder.resolve(KernelCache.key(kernel.source(), target, ""));
  }
}
