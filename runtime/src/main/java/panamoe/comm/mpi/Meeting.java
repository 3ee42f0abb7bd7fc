package panamoe.comm.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import panamoe.bindings.mpi.Mpi;
import panamoe.bindings.mpi.OpenMpi;
import panamoe.comm.Call;
import panamoe.comm.Collective;
import panamoe.comm.CommunicationException;

/**
 * How the members of one group carry out a collective: every two of them exchange a frame, then the
 * data that did not fit into it. All sends and receives are under way at once; the wait for them is
 * bounded and hears of the world's failures. Used by one thread at a time.
 */
final class Meeting {
  private static final int FRAME_TAG = 1;
  private static final int DATA_TAG = 2;
  private static final Duration MOMENT = Duration.ofMillis(500);
  // Waiting: at first by asking again and again, then yielding the core to whoever wants it, then
  // sleeping between.
  private static final int EAGER_TESTS = 200;
  private static final long YIELDING_NANOS = 2_000_000;
  private static final long SLEEP_NANOS = 50_000;
  // Data that both sides agreed on still fails the world if it comes slower than this.
  private static final long SLOWEST_BYTES_PER_SECOND = 4 << 20;

  /**
   * What goes to, or comes from, each member.
   *
   * @param memory of all blocks
   * @param starts of each member's block, in bytes
   * @param bytes of each member's block
   */
  record Blocks(MemorySegment memory, long[] starts, long[] bytes) {
    /** One behind the other. */
    static Blocks adjoining(MemorySegment memory, long[] bytes) {
      long[] starts = new long[bytes.length];
      for (int i = 1; i < starts.length; i++) {
        starts[i] = starts[i - 1] + bytes[i - 1];
      }
      return new Blocks(memory, starts, bytes);
    }

    /** The same block for every member. */
    static Blocks same(MemorySegment memory, int members) {
      return new Blocks(
          memory,
          new long[members],
          IntStream.range(0, members).mapToLong(i -> memory.byteSize()).toArray());
    }

    MemorySegment of(int member) {
      return memory.asSlice(starts[member], bytes[member]);
    }
  }

  private final MpiWorld world;
  private final String name;
  private final int rank;
  private final int[] ranks;
  private final Frames outgoing;
  private final Frames incoming;
  private final Requests requests;

  /**
   * @param group an MPI_Comm
   * @param name of the group
   * @param rank this member
   * @param ranks of the members in the world
   */
  Meeting(MpiWorld world, MemorySegment group, String name, int rank, int[] ranks, Arena arena) {
    this.world = world;
    this.name = name;
    this.rank = rank;
    this.ranks = ranks;
    this.outgoing = new Frames(ranks.length, arena);
    this.incoming = new Frames(ranks.length, arena);
    this.requests = new Requests(group, world.chunk(), arena);
  }

  String name() {
    return name;
  }

  int[] ranks() {
    return ranks;
  }

  /** Moves one block from every member to every member, the own one included. */
  void exchange(Call call, Blocks send, Blocks receive) {
    requireWorld(call);
    int members = ranks.length;
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      checked(requests.receive(incoming.empty(peer), peer, FRAME_TAG), "MPI_Irecv", call);
    }
    int frames = requests.count();
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      if (receive.bytes[peer] > Frames.ROOM) {
        checked(requests.receive(receive.of(peer), peer, DATA_TAG), "MPI_Irecv", call);
      }
    }
    long digest = call.digest();
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      MemorySegment block = send.of(peer);
      checked(
          requests.send(outgoing.fill(peer, digest, block), peer, FRAME_TAG), "MPI_Isend", call);
      if (block.byteSize() > Frames.ROOM) {
        checked(requests.send(block, peer, DATA_TAG), "MPI_Isend", call);
      }
    }
    MemorySegment.copy(
        send.memory, send.starts[rank], receive.memory, receive.starts[rank], send.bytes[rank]);
    await(0, frames, world.timeout().toNanos(), call);
    compare(call, digest, receive);
    for (int peer = 0; peer < members; peer++) {
      if (peer != rank && receive.bytes[peer] <= Frames.ROOM) {
        incoming.read(peer, receive.of(peer));
      }
    }
    if (requests.count() > frames) {
      long bytes = receive.memory.byteSize() + send.memory.byteSize();
      long limit = world.timeout().toNanos() + bytes * (1_000_000_000L / SLOWEST_BYTES_PER_SECOND);
      await(frames, requests.count(), limit, call);
    }
    requests.clear();
  }

  /** Lets the world fail because of {@code reason} or of what failed before it. */
  CommunicationException failure(String reason) {
    return new CommunicationException(world.lifeline().fail(reason));
  }

  private int next(int member) {
    return member + 1 == ranks.length ? 0 : member + 1;
  }

  private void requireWorld(Call call) {
    String failure = world.lifeline().failure();
    if (failure != null) {
      throw new CommunicationException(failure);
    }
    if (world.isClosed()) {
      throw new IllegalStateException("the world is closed; too late for " + where(call));
    }
  }

  /**
   * Whether all frames fit to this member's call. Where two differ, both see it; then all say more.
   */
  private void compare(Call call, long digest, Blocks receive) {
    for (int peer = 0; peer < ranks.length; peer++) {
      if (peer != rank && incoming.digest(peer) != digest) {
        throw failure(Call.disagreement(name, ranks, descriptions(call)));
      }
    }
    for (int peer = 0; peer < ranks.length; peer++) {
      if (peer != rank && incoming.bytes(peer) != receive.bytes[peer]) {
        if (call.collective() != Collective.ALL_TO_ALL) {
          throw new AssertionError("equal calls of unequal sizes: " + where(call));
        }
        throw failure(
            Call.disagreement(
                name,
                call.place(),
                ranks[peer],
                incoming.bytes(peer) / call.rowBytes(),
                ranks[rank],
                receive.bytes[peer] / call.rowBytes()));
      }
    }
  }

  private String[] descriptions(Call call) {
    int from = requests.count();
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      checked(requests.receive(incoming.empty(peer), peer, FRAME_TAG), "MPI_Irecv", call);
    }
    int to = requests.count();
    MemorySegment words = Frames.words(call.describe());
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      checked(requests.send(outgoing.fill(peer, 0, words), peer, FRAME_TAG), "MPI_Isend", call);
    }
    await(from, to, world.timeout().toNanos(), call);
    String[] descriptions = new String[ranks.length];
    for (int peer = 0; peer < ranks.length; peer++) {
      descriptions[peer] = peer == rank ? call.describe() : incoming.words(peer);
    }
    return descriptions;
  }

  private void await(int from, int to, long limit, Call call) {
    long start = 0;
    for (int tests = 0; ; tests++) {
      checked(requests.test(from, to), "MPI_Testall", call);
      if (requests.allFinished()) {
        return;
      }
      if (tests >= EAGER_TESTS) {
        long now = System.nanoTime();
        start = start == 0 ? now : start;
        lookUp(now - start, limit, call);
      } else {
        Thread.onSpinWait();
      }
    }
  }

  /** Between two tests of a longer wait: whether there is still something to wait for. */
  private void lookUp(long waited, long limit, Call call) {
    String failure = world.lifeline().failure();
    if (failure != null) {
      throw new CommunicationException(failure);
    }
    if (Thread.currentThread().isInterrupted()) {
      // The launcher tells all ranks to end when one dies: then that is the reason.
      world.lifeline().awaitFailure(MOMENT);
      throw failure("rank " + ranks[rank] + " was interrupted in " + where(call));
    }
    if (waited > MOMENT.toNanos()) {
      // What a rank sent before it left has had its moment to arrive.
      List<Integer> gone = missing().stream().filter(world.lifeline()::hasLeft).toList();
      if (!gone.isEmpty()) {
        throw failure(
            Call.words(gone)
                + " closed the world, but rank "
                + ranks[rank]
                + " waits in "
                + where(call));
      }
    }
    if (waited > limit) {
      List<Integer> missing = missing();
      String sentence =
          missing.isEmpty() ? "the data did not come" : Call.words(missing) + " did not come";
      throw failure(
          String.format(
              Locale.ROOT,
              "%s within %.1f s; rank %d waits in %s",
              sentence,
              waited / 1e9,
              ranks[rank],
              where(call)));
    }
    if (waited < YIELDING_NANOS) {
      Thread.yield();
    } else {
      LockSupport.parkNanos(SLEEP_NANOS);
    }
  }

  /** Ranks in the world whose frame is not here. */
  private List<Integer> missing() {
    List<Integer> missing = new ArrayList<>();
    for (int peer = 0; peer < ranks.length; peer++) {
      if (peer != rank && !incoming.arrived(peer)) {
        missing.add(ranks[peer]);
      }
    }
    return missing;
  }

  private void checked(int status, String function, Call call) {
    if (status != Mpi.MPI_SUCCESS()) {
      // MPI may notice a death before the lifeline does, but cannot say whose.
      world.lifeline().awaitFailure(MOMENT);
      throw failure(
          String.format(
              Locale.ROOT,
              "rank %d: %s failed in %s: %s",
              ranks[rank],
              function,
              where(call),
              OpenMpi.errorString(status)));
    }
  }

  private String where(Call call) {
    return call.describe() + " of " + name;
  }
}
