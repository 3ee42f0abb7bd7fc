package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.stream.IntStream;
import panamoe.comm.Collective;
import panamoe.comm.CollectiveCall;
import panamoe.comm.CollectiveMismatch;
import panamoe.comm.CommunicationException;
import panamoe.io.Words;

/**
 * A group's collectives over messages: every two members exchange a frame, then the data that did
 * not fit into it. All sends and receives are in flight at the same time; waiting for them has a
 * timeout and ends when the world fails. Used by one thread at a time.
 */
final class MessageGroup {
  private static final int FRAME_TAG = 1;
  private static final int DATA_TAG = 2;
  private static final Duration MOMENT = Duration.ofMillis(500);
  // A wait first polls, then yields between polls, then sleeps between them.
  private static final int EAGER_TESTS = 200;
  private static final long YIELDING_NANOS = 2_000_000;
  private static final long SLEEP_NANOS = 50_000;
  // A transfer below this rate counts as a failure.
  private static final long SLOWEST_BYTES_PER_SECOND = 4 << 20;

  /**
   * The blocks that go to, or come from, each member.
   *
   * @param memory of all blocks
   * @param starts of each member's block, in bytes
   * @param bytes of each member's block
   */
  record Blocks(MemorySegment memory, long[] starts, long[] bytes) {
    /** Contiguous blocks. */
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

  private final MessageWorld world;
  private final String name;
  private final int rank;
  private final int[] ranks;
  private final Frames outgoing;
  private final Frames incoming;
  private final Messages messages;

  /**
   * @param messages of the group
   * @param name of the group
   * @param rank this member
   * @param ranks of the members in the world
   */
  MessageGroup(
      MessageWorld world, Messages messages, String name, int rank, int[] ranks, Arena arena) {
    this.world = world;
    this.name = name;
    this.rank = rank;
    this.ranks = ranks;
    this.outgoing = new Frames(ranks.length, arena);
    this.incoming = new Frames(ranks.length, arena);
    this.messages = messages;
  }

  String name() {
    return name;
  }

  int[] ranks() {
    return ranks;
  }

  /** Runs {@code call} with temporary memory for messages. */
  <T> T lend(Function<Arena, T> call) {
    return InFlightMemory.lend(world.writesAfterFailure(), call);
  }

  /** Sends one block from every member to every member, including itself. */
  void exchange(CollectiveCall call, Blocks send, Blocks receive) {
    requireWorld(call);
    boolean moved = false;
    try {
      move(call, send, receive);
      moved = true;
    } catch (MessageException e) {
      // A message may fail before the heartbeat notices a dead rank, but only the heartbeat knows
      // the reason.
      requireUninterrupted(call);
      world.heartbeat().awaitFailure(MOMENT);
      throw failure("rank " + ranks[rank] + ": " + e.getMessage() + " in " + where(call));
    } catch (CommunicationException e) {
      throw e;
    } catch (RuntimeException | Error e) {
      failure("rank " + ranks[rank] + ": " + e + " in " + where(call));
      throw e;
    } finally {
      if (!moved) {
        messages.cancel();
      }
    }
  }

  private void move(CollectiveCall call, Blocks send, Blocks receive) {
    int members = ranks.length;
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      messages.receive(incoming.empty(peer), peer, FRAME_TAG);
    }
    int frames = messages.count();
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      if (receive.bytes[peer] > Frames.ROOM) {
        messages.receive(receive.of(peer), peer, DATA_TAG);
      }
    }
    long digest = call.digest();
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      MemorySegment block = send.of(peer);
      messages.send(outgoing.fill(peer, digest, block), peer, FRAME_TAG);
      if (block.byteSize() > Frames.ROOM) {
        messages.send(block, peer, DATA_TAG);
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
    if (messages.count() > frames) {
      long bytes = receive.memory.byteSize() + send.memory.byteSize();
      long limit = world.timeout().toNanos() + bytes * (1_000_000_000L / SLOWEST_BYTES_PER_SECOND);
      await(frames, messages.count(), limit, call);
    }
    messages.clear();
  }

  /** Fails the world for {@code reason}, unless it has failed; returns the exception to throw. */
  CommunicationException failure(String reason) {
    return new CommunicationException(world.heartbeat().fail(reason));
  }

  private int next(int member) {
    return member + 1 == ranks.length ? 0 : member + 1;
  }

  private void requireWorld(CollectiveCall call) {
    String failure = world.heartbeat().failure();
    if (failure != null) {
      throw new CommunicationException(failure);
    }
    if (world.isClosed()) {
      throw new IllegalStateException("the world is closed and cannot run " + where(call));
    }
  }

  /**
   * Compares all frames with this member's call. If two differ, both members see it; then all send
   * their descriptions.
   */
  private void compare(CollectiveCall call, long digest, Blocks receive) {
    for (int peer = 0; peer < ranks.length; peer++) {
      if (peer != rank && incoming.digest(peer) != digest) {
        throw failure(CollectiveMismatch.ofCalls(name, ranks, descriptions(call)));
      }
    }
    for (int peer = 0; peer < ranks.length; peer++) {
      if (peer != rank && incoming.bytes(peer) != receive.bytes[peer]) {
        if (call.collective() != Collective.ALL_TO_ALL) {
          throw new AssertionError("equal calls of unequal sizes: " + where(call));
        }
        throw failure(
            CollectiveMismatch.ofRows(
                name,
                call.location(),
                ranks[peer],
                incoming.bytes(peer) / call.rowBytes(),
                ranks[rank],
                receive.bytes[peer] / call.rowBytes()));
      }
    }
  }

  private String[] descriptions(CollectiveCall call) {
    int from = messages.count();
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      messages.receive(incoming.empty(peer), peer, FRAME_TAG);
    }
    int to = messages.count();
    MemorySegment words = Frames.words(call.describe());
    for (int peer = next(rank); peer != rank; peer = next(peer)) {
      messages.send(outgoing.fill(peer, 0, words), peer, FRAME_TAG);
    }
    await(from, to, world.timeout().toNanos(), call);
    String[] descriptions = new String[ranks.length];
    for (int peer = 0; peer < ranks.length; peer++) {
      descriptions[peer] = peer == rank ? call.describe() : incoming.words(peer);
    }
    return descriptions;
  }

  private void await(int from, int to, long limit, CollectiveCall call) {
    long start = 0;
    for (int tests = 0; ; tests++) {
      if (messages.finished(from, to)) {
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

  /** Called between two polls of a longer wait: throws if the wait cannot succeed. */
  private void lookUp(long waited, long limit, CollectiveCall call) {
    String failure = world.heartbeat().failure();
    if (failure != null) {
      throw new CommunicationException(failure);
    }
    requireUninterrupted(call);
    if (waited > MOMENT.toNanos()) {
      // Data that a rank sent before it left has had time to arrive.
      List<Integer> gone = missing().stream().filter(world.heartbeat()::hasLeft).toList();
      if (!gone.isEmpty()) {
        throw failure(
            Words.of(
                "%s closed the world, but rank %s waits in %s",
                CollectiveMismatch.words(gone), ranks[rank], where(call)));
      }
    }
    if (waited > limit) {
      List<Integer> missing = missing();
      String sentence =
          missing.isEmpty()
              ? "the data did not come"
              : CollectiveMismatch.words(missing) + " did not come";
      throw failure(
          Words.of(
              "%s within %.1f s; rank %d waits in %s",
              sentence, waited / 1e9, ranks[rank], where(call)));
    }
    if (waited < YIELDING_NANOS) {
      Thread.yield();
    } else {
      LockSupport.parkNanos(SLEEP_NANOS);
    }
  }

  private void requireUninterrupted(CollectiveCall call) {
    if (Thread.currentThread().isInterrupted()) {
      // The launcher ends all ranks when one dies; the dead rank is then the reason.
      world.heartbeat().awaitFailure(MOMENT);
      throw failure("rank " + ranks[rank] + " was interrupted in " + where(call));
    }
  }

  /** The ranks (in the world) whose frame has not arrived. */
  private List<Integer> missing() {
    List<Integer> missing = new ArrayList<>();
    for (int peer = 0; peer < ranks.length; peer++) {
      if (peer != rank && !incoming.arrived(peer)) {
        missing.add(ranks[peer]);
      }
    }
    return missing;
  }

  private String where(CollectiveCall call) {
    return call.describe() + " of " + name;
  }
}
