package panamoe.param;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.ObjIntConsumer;
import panamoe.io.Require;

/**
 * A cache for the experts of a model that does not fit in memory: slots of equal size, filled from
 * a {@link Source} when an expert is needed or prefetched.
 *
 * <p>An expert's score is its number of uses, each of which counts half as much after {@link
 * #HALF_LIFE} uses per expert (LRFU). The expert of least score is evicted. The cache changes the
 * time of a step, and no bit of its results.
 *
 * <p>Used by one thread at a time, the backend's; {@link #statistics} by any.
 */
public final class ExpertCache implements AutoCloseable {
  /** The storage of the experts. */
  public interface Source extends AutoCloseable {
    /**
     * Fills a slot. Any thread may call it.
     *
     * @param expert among all layers'
     * @return false if the expert is damaged in the source
     */
    boolean read(int expert, MemorySegment slot);

    /** Repairs the expert in the source and fills the slot; called by the backend's thread. */
    void mend(int expert, MemorySegment slot);

    long bytes(int expert);

    @Override
    void close();
  }

  /** Half-life of a use, in uses per expert of the model. */
  private static final double HALF_LIFE = 16;

  /** Queue depth of reads: what an SSD needs to be busy. */
  private static final int READERS = 4;

  /** Prefetches before the hit rate is checked; prefetching stops if it is below a third. */
  private static final int FREE_GUESSES = 32;

  private static final int NONE = -1;

  /** Memory for an expert. */
  private static final class Slot {
    private final MemorySegment memory;
    private int expert = NONE;
    private CompletableFuture<Boolean> read = CompletableFuture.completedFuture(true);
    private boolean pinned; // about to be used
    private boolean guessed; // prefetched, and not used yet

    Slot(MemorySegment memory) {
      this.memory = memory;
    }
  }

  private final Source source;
  private final List<Slot> slots = new ArrayList<>();
  private final Slot[]
      held; // Score by expert: the base-2 logarithm of uses, each of which weighs twice as much as
  // one a half-life before.
  private final double[] score;
  private final double halfLife;
  private final List<Slot> guesses = new ArrayList<>();
  private final ExecutorService readers =
      Executors.newFixedThreadPool(
          READERS, Thread.ofPlatform().daemon().name("panamoe-experts-", 0).factory());
  private final AtomicLong uses = new AtomicLong();
  private final AtomicLong hits = new AtomicLong();
  private final AtomicLong guessCount = new AtomicLong();
  private final AtomicLong guessedHits = new AtomicLong();
  private final AtomicLong bytesRead = new AtomicLong();
  private final AtomicLong written = new AtomicLong();
  private final AtomicLong bytesForWritten = new AtomicLong();
  private final AtomicLong mended = new AtomicLong();
  private final ExpertCacheEvent step = new ExpertCacheEvent();
  private long bytesBefore;
  private long usesBefore;
  private long hitsBefore;
  private final Object clock = new Object();
  private int reading; // guarded by the clock, like the next two
  private long readingSince;
  private long readNanos;

  /**
   * @param memory of the slots
   * @param slotBytes of each, at least as many as an expert has
   * @param experts of all layers
   * @param source closed with this cache
   */
  public ExpertCache(MemorySegment memory, long slotBytes, int experts, Source source) {
    this.source = source;
    for (long at = 0; at + slotBytes <= memory.byteSize(); at += slotBytes) {
      slots.add(new Slot(memory.asSlice(at, slotBytes)));
    }
    Require.that(!slots.isEmpty(), "there is no room for an expert");
    this.held = new Slot[experts];
    this.score = new double[experts];
    Arrays.fill(score, Double.NEGATIVE_INFINITY);
    this.halfLife = HALF_LIFE * experts;
  }

  /**
   * Sets the initial scores, and begins to read the most used experts.
   *
   * @param before earlier uses of each expert of all layers
   */
  public void warm(long[] before) {
    Integer[] order = new Integer[held.length];
    Arrays.setAll(order, expert -> expert);
    Arrays.sort(order, (a, b) -> Long.compare(before[b], before[a]));
    double most = Math.max(1, before[order[0]]);
    for (int expert = 0; expert < held.length; expert++) {
      // At most what steady use would leave.
      score[expert] = log2(before[expert] / most * HALF_LIFE);
    }
    for (int i = 0; i < Math.min(slots.size(), order.length) && before[order[i]] > 0; i++) {
      start(slots.get(i), order[i]);
    }
  }

  /**
   * Passes experts with their memory to {@code use}: first those in memory, while the others are
   * read.
   *
   * @param experts distinct, among all layers'
   * @param meanwhile runs once these reads have begun, to {@link #guess} the next
   */
  public void use(int[] experts, Runnable meanwhile, ObjIntConsumer<MemorySegment> use) {
    guesses.forEach(slot -> slot.pinned = false);
    guesses.clear();
    int[] order = presentFirst(experts);
    ArrayDeque<Slot> ready = new ArrayDeque<>();
    try {
      int next = pinSome(order, 0, ready);
      meanwhile.run();
      while (!ready.isEmpty()) {
        Slot slot = ready.element();
        await(slot);
        use.accept(slot.memory, slot.expert);
        ready.remove().pinned = false;
        next = pinSome(order, next, ready);
      }
    } finally {
      ready.forEach(slot -> slot.pinned = false);
    }
  }

  /**
   * Prefetches experts that the next call of {@link #use} is likely to get, into at most half of
   * the slots.
   *
   * @param experts among all layers', likely ones first
   */
  public void guess(int[] experts) {
    if (guessCount.get() > FREE_GUESSES + 3 * guessedHits.get()) {
      return; // this model's routers cannot be predicted
    }
    for (int expert : experts) {
      if (guesses.size() >= slots.size() / 2) {
        return;
      }
      Slot slot = held[expert];
      if (slot == null) {
        slot = leastUsed();
        if (slot == null) {
          return;
        }
        start(slot, expert);
        slot.guessed = true;
        guessCount.incrementAndGet();
      }
      if (!slot.pinned) {
        slot.pinned = true;
        guesses.add(slot);
      }
    }
  }

  /** Counts a step of {@code rows} tokens; {@code writes} if it only decodes. */
  public void stepped(int rows, boolean writes) {
    long now = bytesRead.get();
    if (writes) {
      written.addAndGet(rows);
      bytesForWritten.addAndGet(now - bytesBefore);
    }
    if (step.isEnabled()) {
      ExpertCacheEvent event = new ExpertCacheEvent();
      event.tokens = rows;
      event.uses = uses.get() - usesBefore;
      event.hits = hits.get() - hitsBefore;
      event.bytes = now - bytesBefore;
      event.commit();
    }
    bytesBefore = now;
    usesBefore = uses.get();
    hitsBefore = hits.get();
  }

  public ExpertCacheStatistics statistics() {
    long nanos;
    synchronized (clock) {
      nanos = readNanos + (reading > 0 ? System.nanoTime() - readingSince : 0);
    }
    return new ExpertCacheStatistics(
        held.length,
        slots.size(),
        new ExpertCacheStatistics.Uses(uses.get(), hits.get()),
        new ExpertCacheStatistics.Guesses(guessCount.get(), guessedHits.get()),
        new ExpertCacheStatistics.Reads(bytesRead.get(), nanos, mended.get()),
        new ExpertCacheStatistics.Written(written.get(), bytesForWritten.get()));
  }

  private int[] presentFirst(int[] experts) {
    int[] order = new int[experts.length];
    int present = 0;
    int missing = experts.length;
    for (int expert : experts) {
      if (held[expert] != null) {
        order[present++] = expert;
      } else {
        order[--missing] = expert;
      }
    }
    return order;
  }

  /** Pins experts in order, as long as there is room. */
  private int pinSome(int[] order, int from, ArrayDeque<Slot> ready) {
    int next = from;
    for (Slot slot; next < order.length && (slot = pin(order[next])) != null; next++) {
      ready.add(slot);
    }
    return next;
  }

  private Slot pin(int expert) {
    Slot slot = held[expert];
    boolean hit = slot != null;
    if (!hit) {
      slot = leastUsed();
      if (slot == null) {
        return null;
      }
      start(slot, expert);
    }
    slot.pinned = true;
    double now = uses.getAndIncrement() / halfLife;
    score[expert] = now + log2(Math.pow(2, score[expert] - now) + 1);
    hits.addAndGet(hit ? 1 : 0);
    guessedHits.addAndGet(slot.guessed ? 1 : 0);
    slot.guessed = false;
    return slot;
  }

  private static double log2(double x) {
    return Math.log(x) / Math.log(2);
  }

  /** The slot to reuse; null if all are pinned. */
  private Slot leastUsed() {
    Slot least = null;
    for (Slot slot : slots) {
      if (!slot.pinned && (least == null || score(slot) < score(least))) {
        least = slot;
      }
    }
    return least;
  }

  private double score(Slot slot) {
    return slot.expert == NONE ? Double.NEGATIVE_INFINITY : score[slot.expert];
  }

  private void start(Slot slot, int expert) {
    await(slot); // a read that is no longer needed
    if (slot.expert != NONE) {
      held[slot.expert] = null;
    }
    slot.expert = expert;
    slot.guessed = false;
    held[expert] = slot;
    slot.read = CompletableFuture.supplyAsync(() -> read(expert, slot.memory), readers);
  }

  private boolean read(int expert, MemorySegment memory) {
    synchronized (clock) {
      if (reading++ == 0) {
        readingSince = System.nanoTime();
      }
    }
    try {
      return source.read(expert, memory);
    } finally {
      bytesRead.addAndGet(source.bytes(expert));
      synchronized (clock) {
        if (--reading == 0) {
          readNanos += System.nanoTime() - readingSince;
        }
      }
    }
  }

  /** Waits until a slot has its expert. */
  private void await(Slot slot) {
    try {
      if (!slot.read.join()) {
        source.mend(slot.expert, slot.memory);
        mended.incrementAndGet();
        slot.read = CompletableFuture.completedFuture(true);
      }
    } catch (RuntimeException e) {
      held[slot.expert] = null; // the next use tries again
      slot.expert = NONE;
      slot.read = CompletableFuture.completedFuture(true);
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    }
  }

  /** Waits for reads under way, and closes the source. */
  @Override
  public void close() {
    readers.close();
    source.close();
  }
}
