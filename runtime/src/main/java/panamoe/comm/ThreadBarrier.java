package panamoe.comm;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Phaser;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.IntStream;

/**
 * The barrier at which the threads of one group exchange their arguments for each collective. The
 * last thread to arrive compares all calls; then either all continue or all fail. Until every
 * member has called {@link #part}, each may read the others' memory (and write it if the collective
 * does). That second wait always ends, because no member waits while it copies.
 */
final class ThreadBarrier {
  /**
   * A member's arguments.
   *
   * @param memory that the others may access, or null
   * @param numbers that the others may read, or null; not modified after the offer
   */
  record Offer(CollectiveCall call, MemorySegment memory, long[] numbers) {}

  private static final int PHASES = Integer.MAX_VALUE;
  // About 20 microseconds, the time to park and wake a thread. With fewer cores than ranks, parking
  // at once is faster.
  private static final int SPINS = 1000;

  private final String name;
  private final int[] ranks;
  private final WorldFailure failure;
  private final VirtualClock clock;
  // Indexed by the phase's parity: a fast member may write its next offer while others still read
  // this one.
  private final Offer[][] offers;
  // For each member, one more than the last phase it arrived at.
  private final AtomicIntegerArray came;
  private final AtomicReferenceArray<String> gone;
  private volatile boolean anyoneGone;
  private final Map<List<Integer>, ThreadBarrier> children = new ConcurrentHashMap<>();
  private final Phaser arrival;
  private final Phaser departure;
  private final int spins;

  /**
   * @param ranks of the members in the world
   */
  ThreadBarrier(String name, int[] ranks, WorldFailure failure, VirtualClock clock) {
    this.name = name;
    this.ranks = ranks;
    this.failure = failure;
    this.clock = clock;
    this.offers = new Offer[2][ranks.length];
    this.came = new AtomicIntegerArray(ranks.length);
    this.gone = new AtomicReferenceArray<>(ranks.length);
    this.departure = new Phaser(ranks.length);
    this.spins = ranks.length <= Runtime.getRuntime().availableProcessors() ? SPINS : 0;
    this.arrival =
        new Phaser(ranks.length) {
          @Override
          protected boolean onAdvance(int phase, int members) {
            compare(phase);
            return false;
          }
        };
    failure.add(this);
  }

  String name() {
    return name;
  }

  int[] ranks() {
    return ranks;
  }

  /**
   * The group that is split off in the current phase with {@code color}: one object for all its
   * members.
   */
  ThreadBarrier child(int phase, int color, String childName, int[] childRanks) {
    return children.computeIfAbsent(
        List.of(phase, color), key -> new ThreadBarrier(childName, childRanks, failure, clock));
  }

  /**
   * Waits until every member has arrived.
   *
   * @return the members' offers, by member
   * @throws CommunicationException on every member, or on none
   */
  Offer[] meet(int member, Offer offer) {
    int phase = arrival.getPhase();
    if (phase < 0) {
      throw failure.exception();
    }
    Offer[] round = offers[phase & 1];
    round[member] = offer;
    came.set(member, phase + 1);
    arrival.arrive();
    if (anyoneGone) {
      blameTheGone();
    }
    spin(arrival, phase);
    try {
      arrival.awaitAdvanceInterruptibly(phase, failure.timeout().toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      blameTheMissing(phase);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      failure.fail("rank " + ranks[member] + " was interrupted in " + where(offer.call()), null);
    }
    // A failure can coincide with the last arrival. The phase then decides: all members continue or
    // none does.
    if ((arrival.getPhase() & PHASES) == phase) {
      throw failure.exception();
    }
    return round;
  }

  /** The number of the collective that this member last arrived at. */
  int phase(int member) {
    return came.get(member) - 1;
  }

  /**
   * Waits until no member reads another's memory. Must follow every {@link #meet}, even a failed
   * one.
   */
  void part() {
    int phase = departure.arrive();
    spin(departure, phase);
    departure.awaitAdvance(phase);
  }

  private void spin(Phaser phaser, int phase) {
    for (int i = 0; i < spins && phaser.getPhase() == phase; i++) {
      Thread.onSpinWait();
    }
  }

  /** Marks that this member will not arrive again. */
  void leave(int member, String why) {
    if (gone.compareAndSet(member, null, why)) {
      anyoneGone = true;
      blameTheGone();
    }
  }

  /** Ends all waits because the world has failed. */
  void wake() {
    arrival.forceTermination();
  }

  boolean isWaiting(int rank) {
    int phase = arrival.getPhase();
    for (int i = 0; i < ranks.length; i++) {
      if (ranks[i] == rank) {
        return phase >= 0 && came.get(i) == phase + 1;
      }
    }
    return false;
  }

  /** The ranks that have not arrived yet. */
  List<Integer> missing() {
    return ranksThatCame(arrival.getPhase() & PHASES, false);
  }

  /** "ranks 0, 1 wait in allReduce FLOAT32 of 8 of world". */
  String waiting() {
    int phase = arrival.getPhase() & PHASES;
    List<Integer> here = ranksThatCame(phase, true);
    if (here.isEmpty()) {
      return "nobody waits in " + name;
    }
    int first =
        IntStream.range(0, ranks.length)
            .filter(i -> ranks[i] == here.getFirst())
            .findFirst()
            .orElseThrow();
    return CollectiveMismatch.words(here)
        + (here.size() == 1 ? " waits in " : " wait in ")
        + where(offers[phase & 1][first].call());
  }

  private List<Integer> ranksThatCame(int phase, boolean came) {
    return IntStream.range(0, ranks.length)
        .filter(i -> this.came.get(i) == phase + 1 == came)
        .mapToObj(i -> ranks[i])
        .toList();
  }

  private void blameTheMissing(int phase) {
    String blame = failure.blame(this);
    if (missing().isEmpty()) {
      // The last member has just arrived, so all continue.
      arrival.awaitAdvance(phase);
    } else {
      failure.fail(blame, null);
    }
  }

  private void blameTheGone() {
    int phase = arrival.getPhase();
    if (phase < 0 || ranksThatCame(phase, true).isEmpty()) {
      return;
    }
    for (int i = 0; i < ranks.length; i++) {
      String why = gone.get(i);
      if (why != null && came.get(i) != phase + 1) {
        failure.fail("rank " + ranks[i] + " " + why + ", but " + waiting(), null);
      }
    }
  }

  private void compare(int phase) {
    CollectiveCall[] calls =
        Arrays.stream(offers[phase & 1]).map(Offer::call).toArray(CollectiveCall[]::new);
    String mismatch = CollectiveMismatch.among(name, ranks, calls);
    if (mismatch != null) {
      failure.fail(mismatch, null);
    } else {
      clock.advance(name, ranks, calls);
    }
  }

  private String where(CollectiveCall call) {
    return call.describe() + " of " + name;
  }
}
