package panamoe.bindings.nccl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import panamoe.bindings.SystemLibrary;

/** Opens NCCL for {@link Nccl}. Thread-safe. */
public final class NcclLibrary {
  /** The functions of {@link Nccl}. */
  static final SystemLibrary LIBRARY =
      new SystemLibrary(
          "NCCL",
          "libnccl.so.2",
          "panamoe.nccl.path",
          "PANAMOE_NCCL_PATH",
          "install it (Debian: libnccl2 of the component contrib)");

  // 10000 times the major version and 100 times the minor one; before 2.9 1000 times and 100 times.
  private static final int OLDEST = 21800;
  private static final int NEXT_MAJOR = 30000;
  private static final int NEW_CODES = 10000;

  private NcclLibrary() {}

  /**
   * Opens the library if needed. Call it before the first function of {@link Nccl}.
   *
   * @throws UnsatisfiedLinkError if it was not found, is older than 2.18, which has all functions,
   *     or of another major version; the message is one sentence
   */
  public static void ensureAvailable() {
    LIBRARY.load();
    int version = version();
    if (version < OLDEST || version >= NEXT_MAJOR) {
      boolean old = version < NEW_CODES;
      throw new UnsatisfiedLinkError(
          String.format(
              Locale.ROOT,
              "NCCL is version %d.%d, but 2.18 or a later 2 is needed: install it, or name its file with"
                  + " -Dpanamoe.nccl.path or PANAMOE_NCCL_PATH",
              version / (old ? 1000 : NEW_CODES),
              version / 100 % (old ? 10 : 100)));
    }
  }

  private static int version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(ValueLayout.JAVA_INT);
      Nccl.ncclGetVersion(version);
      return version.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** The library's text for a result, with the communicator's last error if it has one. */
  public static String errorString(int result, MemorySegment communicator) {
    String words = Nccl.ncclGetErrorString(result).getString(0);
    MemorySegment last = Nccl.ncclGetLastError(communicator);
    return last.address() == 0 || last.getString(0).isBlank()
        ? words
        : words + ": " + last.getString(0).strip();
  }
}
