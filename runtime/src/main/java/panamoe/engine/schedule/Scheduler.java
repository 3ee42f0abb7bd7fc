package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import panamoe.engine.EngineConfig;
import panamoe.io.Require;

/**
 * Decides which sequences run, in which blocks, and what the next step computes of each: first one
 * row of each decoding sequence, then chunks of prompts, the oldest first, until the step is full
 * (Orca, OSDI 2022; Sarathi-Serve, arXiv 2403.02310). A sequence starts when the cache has room for
 * its prompt and a part of its completion. If blocks run out nevertheless, the last sequence of the
 * lowest priority is preempted and computed again later. Used by the engine's thread.
 */
final class Scheduler {
  /** Order of computing; preemption goes in reverse. */
  private static final Comparator<Sequence> ORDER =
      Comparator.comparingInt((Sequence sequence) -> -sequence.request.terms().priority())
          .thenComparingLong(sequence -> sequence.arrival);

  private final EngineConfig config;
  private final int context;
  private final int scored;
  private final CacheBlocks[] caches;
  private final BitSet[] slots;
  private final WaitingQueue waiting = new WaitingQueue();
  private final List<Sequence> running = new ArrayList<>();
  private long interruptions;

  /**
   * @param ranks data ranks, each with its own cache
   * @param context longest sequence in tokens
   * @param scored rows of a step whose logits are read for log probabilities of prompts
   * @param window of layers with their own blocks; 0 if no layer has a window
   */
  Scheduler(EngineConfig config, int ranks, int context, int scored, int window) {
    this.config = config;
    this.context = context;
    this.scored = scored;
    this.caches = new CacheBlocks[ranks];
    this.slots = new BitSet[ranks];
    for (int rank = 0; rank < ranks; rank++) {
      caches[rank] = new CacheBlocks(config, window);
      slots[rank] = new BitSet(config.sequences());
    }
  }

  /**
   * Refuses a sequence that does not fit the cache even alone.
   *
   * @param first tokens at its start
   * @param written most tokens after them
   */
  void requireFits(int first, int written) {
    long most = Math.min((long) first + written, context);
    if (config.blocksOf((int) most) > config.blocks()) {
      throw Require.refusal(
          "prompt and completion have up to %s tokens, more than the cache's %s",
          most, (long) config.blocks() * config.blockSize());
    }
  }

  /** Refuses a prompt of {@code tokens} that is longer than the context. */
  void requirePrompt(int tokens) {
    if (tokens > context) {
      throw new IllegalArgumentException(
          "the prompt has " + tokens + " tokens, more than the model's context of " + context);
    }
  }

  void add(Sequence sequence) {
    waiting.add(sequence);
  }

  /** The sequences that have not ended and match. */
  List<Sequence> all(Predicate<Sequence> such) {
    List<Sequence> all = List.of(); // nearly every step
    for (Sequence sequence : running) {
      all = such.test(sequence) ? with(all, sequence) : all;
    }
    for (Sequence sequence : waiting.all()) {
      all = such.test(sequence) ? with(all, sequence) : all;
    }
    return all;
  }

  private static List<Sequence> with(List<Sequence> some, Sequence another) {
    List<Sequence> more = some.isEmpty() ? new ArrayList<>() : some;
    more.add(another);
    return more;
  }

  boolean idle() {
    return running.isEmpty() && waiting.next() == null;
  }

  int running() {
    return running.size();
  }

  int waiting() {
    return waiting.size();
  }

  /** The number of preemptions. */
  long interruptions() {
    return interruptions;
  }

  /** The part of the cache that running sequences use, 0 to 1. */
  double usage() {
    int unused = 0;
    for (CacheBlocks cache : caches) {
      unused += cache.unused();
    }
    return 1 - (double) unused / ((long) caches.length * config.blocks());
  }

  /** Blocks of layers with a window that running sequences use. */
  int windowBlocks() {
    return Arrays.stream(caches).mapToInt(CacheBlocks::windowsUsed).sum();
  }

  /** Plans the next step; it has no parts if no sequence is left. */
  void plan(StepPlan plan) {
    plan.clear();
    int next = 0;
    while (next < running.size()) {
      Sequence sequence = running.get(next);
      // Growing may preempt the sequence itself, or later ones.
      if (sequence.left() > 1 || grow(sequence, plan)) {
        next++;
        if (sequence.left() == 1) {
          int guesses = guess(sequence, plan);
          caches[sequence.rank].add(sequence, 1 + guesses, guesses, plan);
        }
      }
    }
    for (Sequence sequence : running) {
      if (sequence.left() > 1) {
        addChunk(sequence, plan);
      }
    }
    Sequence first = waiting.next();
    while (first != null && start(first, plan)) {
      addChunk(first, plan);
      first = waiting.next();
    }
  }

  private void addChunk(Sequence sequence, StepPlan plan) {
    StepRows rows = plan.rank(sequence.rank);
    int count = Math.min(sequence.left(), rows.left());
    if (sequence.scores()) {
      count = Math.min(count, Math.max(1, scored - rows.wantedCount));
    }
    if (count > 0) {
      caches[sequence.rank].add(sequence, count, 0, plan);
    }
  }

  /** Guesses tokens as far as the step has rows that no other sequence needs. */
  private int guess(Sequence sequence, StepPlan plan) {
    int most = Math.min(config.guesses(), sequence.growth(context));
    most = Math.min(most, plan.rank(sequence.rank).left() - running.size());
    int guesses = most <= 0 ? 0 : Drafts.guess(sequence, most);
    while (config.blocksOf(sequence.length + guesses) > sequence.held) {
      if (caches[sequence.rank].unused() == 0) {
        return sequence.held * config.blockSize() - sequence.length;
      }
      caches[sequence.rank].take(sequence, plan);
    }
    return guesses;
  }

  /** Gives a sequence a block for its last token; false if the sequence was preempted instead. */
  private boolean grow(Sequence sequence, StepPlan plan) {
    if (config.blocksOf(sequence.length) <= sequence.held) {
      return true;
    }
    while (caches[sequence.rank].unused() == 0) {
      Sequence last = lastOn(sequence.rank);
      interrupt(last);
      if (last == sequence) {
        return false;
      }
    }
    caches[sequence.rank].take(sequence, plan);
    return true;
  }

  private Sequence lastOn(int rank) {
    return running.reversed().stream()
        .filter(sequence -> sequence.rank == rank)
        .findFirst()
        .orElseThrow();
  }

  private void interrupt(Sequence sequence) {
    stop(sequence);
    waiting.addFirst(sequence);
    interruptions++;
  }

  /** Starts a sequence if there is room. */
  private boolean start(Sequence sequence, StepPlan plan) {
    int best = -1;
    int most = 0;
    for (int rank = 0; rank < caches.length; rank++) {
      int spare = caches[rank].unused() - promised(rank);
      boolean takes = slots[rank].cardinality() < config.sequences() && plan.rank(rank).left() > 0;
      if (takes && (best < 0 || spare > most)) {
        best = rank;
        most = spare;
      }
    }
    if (best < 0) {
      return false;
    }
    CacheBlocks cache = caches[best];
    int reused = cache.find(sequence);
    int reserved = (int) Math.ceil(config.reserve() * sequence.growth(context));
    int promise = config.blocksOf(sequence.length + reserved);
    if (promise - sequence.held + reused > most) {
      CacheBlocks.forget(sequence);
      return false;
    }
    waiting.remove(sequence);
    sequence.rank = best;
    sequence.slot = slots[best].nextClearBit(0);
    slots[best].set(sequence.slot);
    sequence.promised = promise;
    cache.share(sequence, plan);
    while (sequence.held < config.blocksOf(sequence.length)) {
      cache.take(sequence, plan);
    }
    if (sequence.shared < 0) {
      sequence.shared = sequence.computed;
      sequence.started = System.nanoTime();
      sequence.queued.commit(sequence);
    }
    running.add(sequence);
    running.sort(ORDER);
    return true;
  }

  /** Blocks that running sequences have reserved but not yet taken. */
  private int promised(int rank) {
    return running.stream()
        .filter(sequence -> sequence.rank == rank)
        .mapToInt(sequence -> Math.max(0, sequence.promised - sequence.held))
        .sum();
  }

  /** Marks the next {@code count} tokens of a running sequence as computed. */
  void computed(Sequence sequence, int count) {
    caches[sequence.rank].computed(sequence, count);
  }

  /** Releases a running sequence's blocks and slot. */
  private void stop(Sequence sequence) {
    caches[sequence.rank].release(sequence);
    slots[sequence.rank].clear(sequence.slot);
    sequence.rank = -1;
    sequence.slot = -1;
    running.remove(sequence);
  }

  /** Drops all but the last {@code kept} tokens of a running sequence. */
  void slide(Sequence sequence, int kept) {
    stop(sequence);
    sequence.slide(kept);
    waiting.addFirst(sequence);
  }

  /** Ends a running or waiting sequence. */
  void end(Sequence sequence) {
    if (sequence.running()) {
      stop(sequence);
    } else {
      waiting.remove(sequence);
    }
  }
}
