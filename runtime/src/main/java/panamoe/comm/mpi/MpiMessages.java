package panamoe.comm.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.bindings.mpi.Mpi;
import panamoe.bindings.mpi.OpenMpi;
import panamoe.comm.message.MessageException;
import panamoe.comm.message.Messages;

/** Messages of an MPI_Comm, by MPI_Isend, MPI_Irecv and MPI_Testall. */
final class MpiMessages implements Messages {
  private final MemorySegment group;
  private final long chunk;
  private final Arena arena;
  private final MemorySegment finished;
  private MemorySegment handles;
  private int count;

  /**
   * @param group an MPI_Comm
   * @param chunk most bytes of one MPI message, whose count is an int. Longer ones are split
   */
  MpiMessages(MemorySegment group, long chunk, Arena arena) {
    this.group = group;
    this.chunk = chunk;
    this.arena = arena;
    this.finished = arena.allocate(ValueLayout.JAVA_INT);
    this.handles = arena.allocate(ValueLayout.ADDRESS, 64);
  }

  @Override
  public void send(MemorySegment data, int member, int tag) {
    for (long from = 0; from < data.byteSize(); from += chunk) {
      int bytes = (int) Math.min(chunk, data.byteSize() - from);
      check(
          Mpi.MPI_Isend(
              data.asSlice(from, bytes), bytes, OpenMpi.byteType(), member, tag, group, next()),
          "MPI_Isend");
    }
  }

  /** A message of several chunks must have exactly the segment's size. */
  @Override
  public void receive(MemorySegment data, int member, int tag) {
    for (long from = 0; from < data.byteSize(); from += chunk) {
      int bytes = (int) Math.min(chunk, data.byteSize() - from);
      check(
          Mpi.MPI_Irecv(
              data.asSlice(from, bytes), bytes, OpenMpi.byteType(), member, tag, group, next()),
          "MPI_Irecv");
    }
  }

  @Override
  public int count() {
    return count;
  }

  /** Also makes MPI progress. */
  @Override
  public boolean finished(int from, int to) {
    check(
        Mpi.MPI_Testall(
            to - from,
            handles.asSlice(from * ValueLayout.ADDRESS.byteSize()),
            finished,
            MemorySegment.NULL),
        "MPI_Testall");
    return finished.get(ValueLayout.JAVA_INT, 0) != 0;
  }

  @Override
  public void clear() {
    count = 0;
  }

  /** MPI_Cancel guarantees nothing, and the process is about to end. */
  @Override
  public void cancel() {}

  @Override
  public Messages split(int[] members, int rank, Arena partArena) {
    MemorySegment part = partArena.allocate(ValueLayout.ADDRESS);
    // The first member's number is the color, because MPI refuses negative colors.
    check(Mpi.MPI_Comm_split(group, members[0], rank, part), "MPI_Comm_split");
    return new MpiMessages(part.get(ValueLayout.ADDRESS, 0), chunk, partArena);
  }

  @Override
  public void close() {
    try (Arena call = Arena.ofConfined()) {
      check(Mpi.MPI_Comm_free(call.allocateFrom(ValueLayout.ADDRESS, group)), "MPI_Comm_free");
    }
  }

  private static void check(int status, String function) {
    if (status != Mpi.MPI_SUCCESS()) {
      throw new MessageException(function + " failed: " + OpenMpi.errorString(status));
    }
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
