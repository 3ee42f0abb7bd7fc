package panamoe.bindings.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.bindings.NativeEnvironment;
import panamoe.bindings.SystemLibrary;

/**
 * Opens Open MPI 5 and provides its handles (communicators, datatypes), which {@link Mpi} lacks:
 * they are addresses of objects in the library, which jextract cannot bind. Thread-safe.
 */
public final class OpenMpi {
  /** The functions of {@link Mpi}. */
  static final SystemLibrary LIBRARY =
      new SystemLibrary(
          "Open MPI 5",
          "libmpi.so.40",
          "panamoe.mpi.path",
          "PANAMOE_MPI_PATH",
          "install it (Debian: apt-get install openmpi-bin)");

  private OpenMpi() {}

  /**
   * Opens the library if needed. Call it before the first function of {@link Mpi}.
   *
   * @throws UnsatisfiedLinkError if it was not found; the message is one sentence
   */
  public static void ensureAvailable() {
    // UCX, which Open MPI links, installs a SIGSEGV handler when it is loaded; the JVM needs that
    // signal and would die at the next null check. UCX reads this variable in its constructor, so
    // C's environment must have it before.
    NativeEnvironment.set("UCX_ERROR_SIGNALS", "", true);
    // A waiting rank yields its core, which another rank may need.
    NativeEnvironment.set("OMPI_MCA_mpi_yield_when_idle", "1", false);
    LIBRARY.load();
  }

  /**
   * Makes Open MPI report a broken connection as an error instead of ending this process, unless
   * the user has set the option. It slows every message slightly. Call it before MPI_Init.
   */
  public static void tolerateLostConnections() {
    NativeEnvironment.set("OMPI_MCA_mpi_ft_enable", "1", false);
  }

  public static MemorySegment world() {
    return Handles.WORLD;
  }

  public static MemorySegment byteType() {
    return Handles.BYTE;
  }

  public static MemorySegment errorsReturn() {
    return Handles.ERRORS_RETURN;
  }

  public static MemorySegment infoNull() {
    return Handles.INFO_NULL;
  }

  /** The library's text for a function's result. */
  public static String errorString(int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(Mpi.MPI_MAX_ERROR_STRING() + 1);
      Mpi.MPI_Error_string(status, text, arena.allocate(ValueLayout.JAVA_INT));
      return text.getString(0);
    }
  }

  /** Name and version, in one line. */
  public static String version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(Mpi.MPI_MAX_LIBRARY_VERSION_STRING() + 1);
      Mpi.MPI_Get_library_version(text, arena.allocate(ValueLayout.JAVA_INT));
      return text.getString(0).lines().findFirst().orElse("").split(",")[0];
    }
  }

  private static final class Handles {
    static final MemorySegment WORLD = find("ompi_mpi_comm_world");
    static final MemorySegment BYTE = find("ompi_mpi_byte");
    static final MemorySegment ERRORS_RETURN = find("ompi_mpi_errors_return");
    static final MemorySegment INFO_NULL = find("ompi_mpi_info_null");

    private static MemorySegment find(String name) {
      return LIBRARY
          .find(name)
          .orElseThrow(
              () ->
                  new UnsatisfiedLinkError(
                      "the MPI library has no " + name + ": it is not Open MPI 5"));
    }
  }
}
