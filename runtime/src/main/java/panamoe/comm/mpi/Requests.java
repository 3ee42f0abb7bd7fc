package panamoe.comm.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.bindings.mpi.Mpi;
import panamoe.bindings.mpi.OpenMpi;

/**
 * Sends and receives of one group that are under way together, in the order they were started. Used
 * by one thread.
 */
final class Requests {
  private final MemorySegment group;
  private final long chunk;
  private final Arena arena;
  private final MemorySegment finished;
  private MemorySegment handles;
  private int count;

  /**
   * @param group an MPI_Comm
   * @param chunk bytes that one message may have: MPI counts in int
   */
  Requests(MemorySegment group, long chunk, Arena arena) {
    this.group = group;
    this.chunk = chunk;
    this.arena = arena;
    this.finished = arena.allocate(ValueLayout.JAVA_INT);
    this.handles = arena.allocate(ValueLayout.ADDRESS, 64);
  }

  int count() {
    return count;
  }

  /** Removes all requests. Call it when all are finished. */
  void clear() {
    count = 0;
  }

  /**
   * @return what MPI said; {@code MPI_SUCCESS} unless something is wrong
   */
  int send(MemorySegment data, int peer, int tag) {
    int status = Mpi.MPI_SUCCESS();
    for (long from = 0; from < data.byteSize() && status == Mpi.MPI_SUCCESS(); from += chunk) {
      int bytes = (int) Math.min(chunk, data.byteSize() - from);
      status =
          Mpi.MPI_Isend(
              data.asSlice(from, bytes), bytes, OpenMpi.byteType(), peer, tag, group, next());
    }
    return status;
  }

  /**
   * Starts a receive of exactly the segment's size, or of fewer bytes if the segment is at most one
   * chunk.
   */
  int receive(MemorySegment data, int peer, int tag) {
    int status = Mpi.MPI_SUCCESS();
    for (long from = 0; from < data.byteSize() && status == Mpi.MPI_SUCCESS(); from += chunk) {
      int bytes = (int) Math.min(chunk, data.byteSize() - from);
      status =
          Mpi.MPI_Irecv(
              data.asSlice(from, bytes), bytes, OpenMpi.byteType(), peer, tag, group, next());
    }
    return status;
  }

  /**
   * Lets MPI make progress; afterwards {@link #allFinished} tells whether requests {@code from} to
   * {@code to} are complete.
   */
  int test(int from, int to) {
    return Mpi.MPI_Testall(
        to - from,
        handles.asSlice(from * ValueLayout.ADDRESS.byteSize()),
        finished,
        MemorySegment.NULL);
  }

  boolean allFinished() {
    return finished.get(ValueLayout.JAVA_INT, 0) != 0;
  }

  private MemorySegment next() {
    long size = ValueLayout.ADDRESS.byteSize();
    if (count * size == handles.byteSize()) {
      MemorySegment more = arena.allocate(ValueLayout.ADDRESS, 2L * count);
      handles = more.copyFrom(handles);
    }
    return handles.asSlice(count++ * size, size);
  }
}
