package panamoe.engine;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;

/**
 * Decides which sequences run, in which blocks, and what the next step computes of each: first a
 * row for each text that is being written, then parts of prompts, the oldest first, until the step
 * is full (as Orca, OSDI 2022, and Sarathi-Serve, arXiv 2403.02310). A sequence starts when there
 * is room for its prompt and a part of what it may write; when room runs out nevertheless, the last
 * of the lowest priority is interrupted, and its tokens are computed again later. Used by the
 * engine's thread.
 */
final class Scheduler {
  /** Who is computed first, and interrupted last. */
  private static final Comparator<Sequence> ORDER =
      Comparator.comparingInt((Sequence sequence) -> -sequence.request.terms().priority())
          .thenComparingLong(sequence -> sequence.arrival);

  private final EngineConfig config;
  private final int context;
  private final BlockPool[] pools;
  private final BitSet[] slots;
  private final WaitingLine waiting = new WaitingLine();
  private final List<Sequence> running = new ArrayList<>();
  private long interruptions;

  /**
   * @param ranks data ranks, each with a cache of its own
   * @param context longest sequence in tokens
   */
  Scheduler(EngineConfig config, int ranks, int context) {
    this.config = config;
    this.context = context;
    this.pools = new BlockPool[ranks];
    this.slots = new BitSet[ranks];
    for (int rank = 0; rank < ranks; rank++) {
      pools[rank] = new BlockPool(config.blocks());
      slots[rank] = new BitSet(config.sequences());
    }
  }

  /**
   * @throws IllegalArgumentException if it cannot run even alone
   */
  void requireFits(GenerationRequest request) {
    int prompt = request.prompt().length;
    if (prompt > context) {
      throw new IllegalArgumentException(
          "the prompt has " + prompt + " tokens, more than the model's context of " + context);
    }
    long most = Math.min((long) prompt + request.stop().maxTokens(), context);
    if (config.blocksOf((int) most) > config.blocks()) {
      throw new IllegalArgumentException(
          "the prompt and the text have up to "
              + most
              + " tokens, more than the cache's "
              + (long) config.blocks() * config.blockSize());
    }
  }

  void add(Sequence sequence) {
    waiting.add(sequence);
  }

  /** The sequences that have not ended and are so. */
  List<Sequence> all(Predicate<Sequence> such) {
    List<Sequence> all = List.of(); // as in nearly every step
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

  /** How often a running sequence had to make room. */
  long interruptions() {
    return interruptions;
  }

  /** The part of the cache that running sequences use, 0 to 1. */
  double usage() {
    int unused = 0;
    for (BlockPool pool : pools) {
      unused += pool.unused();
    }
    return 1 - (double) unused / ((long) pools.length * config.blocks());
  }

  /** Plans the next step; it has no parts if no sequence is left. */
  void plan(StepPlan plan) {
    plan.clear();
    int next = 0;
    while (next < running.size()) {
      Sequence sequence = running.get(next);
      // Growing may interrupt the sequence itself, or those behind it.
      if (sequence.left() > 1 || grow(sequence, plan)) {
        next++;
        if (sequence.left() == 1) {
          int guesses = guess(sequence, plan);
          plan.add(sequence, 1 + guesses, guesses);
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

  private static void addChunk(Sequence sequence, StepPlan plan) {
    int count = Math.min(sequence.left(), plan.rank(sequence.rank).left());
    if (count > 0) {
      plan.add(sequence, count, 0);
    }
  }

  /** Guesses tokens, as far as there is room that nobody else needs in this step. */
  private int guess(Sequence sequence, StepPlan plan) {
    int most = Math.min(config.guesses(), sequence.growth(context));
    most = Math.min(most, plan.rank(sequence.rank).left() - running.size());
    int guesses = most <= 0 ? 0 : Drafts.guess(sequence, most);
    while (config.blocksOf(sequence.length + guesses) > sequence.held) {
      if (pools[sequence.rank].unused() == 0) {
        return sequence.held * config.blockSize() - sequence.length;
      }
      take(sequence, plan);
    }
    return guesses;
  }

  /** Gives a sequence a block for its last token; false if it was interrupted instead. */
  private boolean grow(Sequence sequence, StepPlan plan) {
    if (config.blocksOf(sequence.length) <= sequence.held) {
      return true;
    }
    while (pools[sequence.rank].unused() == 0) {
      Sequence last = lastOn(sequence.rank);
      interrupt(last);
      if (last == sequence) {
        return false;
      }
    }
    take(sequence, plan);
    return true;
  }

  private void take(Sequence sequence, StepPlan plan) {
    sequence.hold(pools[sequence.rank].take());
    plan.changed(sequence, sequence.held - 1);
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

  /** Starts a sequence, if there is room. */
  private boolean start(Sequence sequence, StepPlan plan) {
    int best = -1;
    int most = 0;
    for (int rank = 0; rank < pools.length; rank++) {
      int spare = pools[rank].unused() - promised(rank);
      boolean takes = slots[rank].cardinality() < config.sequences() && plan.rank(rank).left() > 0;
      if (takes && (best < 0 || spare > most)) {
        best = rank;
        most = spare;
      }
    }
    if (best < 0) {
      return false;
    }
    BlockPool pool = pools[best];
    int found = findShared(sequence, pool);
    int reserved = (int) Math.ceil(config.reserve() * sequence.growth(context));
    int promise = config.blocksOf(sequence.length + reserved);
    int reused = 0;
    for (int i = 0; i < found; i++) {
      reused += pool.used(sequence.blocks[i]) ? 0 : 1;
    }
    if (promise - found + reused > most) {
      forget(sequence);
      return false;
    }
    waiting.remove(sequence);
    sequence.rank = best;
    sequence.slot = slots[best].nextClearBit(0);
    slots[best].set(sequence.slot);
    sequence.promised = promise;
    for (int i = 0; i < found; i++) {
      pool.share(sequence.blocks[i]);
      plan.changed(sequence, i);
    }
    while (sequence.held < config.blocksOf(sequence.length)) {
      take(sequence, plan);
    }
    sequence.computed = found * config.blockSize();
    if (sequence.shared < 0) {
      sequence.shared = sequence.computed;
      sequence.started = System.nanoTime();
    }
    running.add(sequence);
    running.sort(ORDER);
    return true;
  }

  /** Blocks that running sequences were promised and do not have yet. */
  private int promised(int rank) {
    return running.stream()
        .filter(sequence -> sequence.rank == rank)
        .mapToInt(sequence -> Math.max(0, sequence.promised - sequence.held))
        .sum();
  }

  /**
   * Finds full blocks of a sequence that an earlier one computed; its last token is computed again,
   * for the logits.
   */
  private int findShared(Sequence sequence, BlockPool pool) {
    Prefix none = Prefix.none(sequence.request.terms().salt());
    sequence.prefix = sequence.topK == null ? none : none.limitedTo(sequence.topK);
    int size = config.blockSize();
    while (config.sharePrefixes() && (sequence.named + 1) * size < sequence.length) {
      Prefix next = sequence.prefix.then(sequence.tokens, sequence.named * size, size);
      int block = pool.find(next);
      if (block < 0) {
        break;
      }
      sequence.prefix = next;
      sequence.hold(block);
      sequence.named++;
    }
    return sequence.named;
  }

  private static void forget(Sequence sequence) {
    sequence.held = 0;
    sequence.named = 0;
    sequence.computed = 0;
  }

  /** Says that the next {@code count} tokens of a running sequence were computed. */
  void computed(Sequence sequence, int count) {
    sequence.computed += count;
    int size = config.blockSize();
    while (config.sharePrefixes() && (sequence.named + 1) * size <= sequence.computed) {
      sequence.prefix = sequence.prefix.then(sequence.tokens, sequence.named * size, size);
      pools[sequence.rank].name(sequence.blocks[sequence.named++], sequence.prefix);
    }
  }

  /** Lets a running sequence's blocks and slot go; what is computed of it is lost, unless found. */
  private void stop(Sequence sequence) {
    for (int i = sequence.held - 1; i >= 0; i--) { // the start of a text is kept the longest
      pools[sequence.rank].release(sequence.blocks[i]);
    }
    slots[sequence.rank].clear(sequence.slot);
    sequence.rank = -1;
    sequence.slot = -1;
    running.remove(sequence);
    forget(sequence);
  }

  /** Takes the last {@code kept} tokens of a running sequence for the whole of it. */
  void slide(Sequence sequence, int kept) {
    stop(sequence);
    sequence.slide(kept);
    waiting.addFirst(sequence);
  }

  /** Ends a sequence, which runs or waits. */
  void end(Sequence sequence) {
    if (sequence.running()) {
      stop(sequence);
    } else {
      waiting.remove(sequence);
    }
  }
}
