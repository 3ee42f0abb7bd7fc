package panamoe.bindings.nccl;

import java.lang.foreign.MemorySegment;
import panamoe.bindings.SystemLibrary;

/** Opens NCCL, whose functions are in {@link Nccl}. Thread-safe. */
public final class NcclLibrary {
  /** Where {@link Nccl} looks for its functions. */
  static final SystemLibrary LIBRARY =
      new SystemLibrary(
          "NCCL",
          "libnccl.so.2",
          "panamoe.nccl.path",
          "PANAMOE_NCCL_PATH",
          "install it (Debian: libnccl2 of the component contrib)");

  private NcclLibrary() {}

  /**
   * Opens the library if need be. To be called before the first function of {@link Nccl}.
   *
   * @throws UnsatisfiedLinkError if it is not there; one sentence
   */
  public static void ensureAvailable() {
    LIBRARY.load();
  }

  /**
   * The library's own words for a result, with those of its last error on this thread where it has
   * any.
   */
  public static String errorString(int result, MemorySegment communicator) {
    String words = Nccl.ncclGetErrorString(result).getString(0);
    MemorySegment last = Nccl.ncclGetLastError(communicator);
    return last.address() == 0 || last.getString(0).isBlank()
        ? words
        : words + ": " + last.getString(0).strip();
  }
}
