package panamoe.bindings.nccl;

import java.lang.foreign.MemorySegment;
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

  private NcclLibrary() {}

  /**
   * Opens the library if needed. Call it before the first function of {@link Nccl}.
   *
   * @throws UnsatisfiedLinkError if it was not found; the message is one sentence
   */
  public static void ensureAvailable() {
    LIBRARY.load();
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
