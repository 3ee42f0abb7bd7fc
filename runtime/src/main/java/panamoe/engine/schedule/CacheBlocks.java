package panamoe.engine.schedule;

import panamoe.engine.EngineConfig;

/**
 * The cache's blocks on one data rank: those of layers without a window, and {@link WindowBlocks}.
 * Finds shared prefixes. Used by the engine's thread.
 */
final class CacheBlocks {
  private final EngineConfig config;
  private final BlockPool pool;
  private final WindowBlocks windows;
  // The routes of each named block's tokens; null if they are not known.
  private final float[][][] routes;

  CacheBlocks(EngineConfig config, int window) {
    this.config = config;
    this.pool = new BlockPool(config.blocks());
    this.windows = new WindowBlocks(config, window);
    this.routes = new float[config.blocks()][][];
  }

  /** The number of unused blocks. */
  int unused() {
    return pool.unused();
  }

  /** Blocks of layers with a window that running sequences use. */
  int windowsUsed() {
    return windows.used();
  }

  /**
   * Finds the full blocks of a sequence's prefix that are in the cache, as far as the window of the
   * next token is there too. The last token is always computed again, for its logits; those whose
   * hidden states are read too.
   *
   * @return how many of these blocks are unused
   */
  int find(Sequence sequence) {
    Prefix salted = Prefix.none(sequence.request.terms().salt());
    String adapter = sequence.request.terms().adapter();
    Prefix none = adapter.isEmpty() ? salted : salted.adaptedBy(adapter);
    sequence.prefix = sequence.topK == null ? none : none.limitedTo(sequence.topK);
    int size = config.blockSize();
    Prefix next = sequence.prefix;
    int missing = 0; // blocks before the window that layers with a window still hold
    while (config.sharePrefixes() && (sequence.held + 1) * size <= sequence.skips()) {
      next = next.then(sequence.tokens, sequence.held * size, size);
      int block = pool.find(next);
      if (block < 0 || sequence.rows != null && routes[block] == null) {
        break;
      }
      sequence.hold(block);
      missing = windows.holds(block) ? missing : sequence.held;
      if (missing <= windows.first(sequence.held * size)) {
        sequence.prefix = next;
        sequence.named = sequence.held;
      }
    }
    sequence.held = sequence.named;
    int reused = 0;
    for (int i = 0; i < sequence.held; i++) {
      reused += pool.used(sequence.blocks[i]) ? 0 : 1;
    }
    return reused;
  }

  /** Uses the blocks that were found; the sequence goes on after them. */
  void share(Sequence sequence, StepPlan plan) {
    for (int i = 0; i < sequence.held; i++) {
      pool.share(sequence.blocks[i]);
      plan.changed(sequence, i);
    }
    int size = config.blockSize();
    sequence.computed = sequence.held * size;
    for (int i = routed(sequence); i < sequence.computed; i++) {
      sequence.rows.add(routes[sequence.blocks[i / size]][i % size]);
    }
    windows.share(sequence, plan);
  }

  /** Gives a sequence one more block. */
  void take(Sequence sequence, StepPlan plan) {
    sequence.hold(pool.take());
    plan.changed(sequence, sequence.held - 1);
  }

  /** Plans the next {@code count} rows of a sequence, which has blocks for them. */
  void add(Sequence sequence, int count, int guesses, StepPlan plan) {
    windows.extend(sequence, count, plan);
    plan.add(sequence, count, guesses);
  }

  /** Marks the next {@code count} tokens of a sequence as computed. */
  void computed(Sequence sequence, int count) {
    sequence.computed += count;
    int size = config.blockSize();
    while (config.sharePrefixes() && (sequence.named + 1) * size <= sequence.computed) {
      int first = sequence.named * size;
      sequence.prefix = sequence.prefix.then(sequence.tokens, first, size);
      routes[sequence.blocks[sequence.named]] =
          sequence.rows == null
              ? null
              : sequence.rows.subList(first, first + size).toArray(float[][]::new);
      name(sequence.blocks[sequence.named++], sequence.prefix);
    }
    windows.slide(sequence);
  }

  /** The number of a sequence's first tokens that need no routes any more. */
  private static int routed(Sequence sequence) {
    return sequence.rows == null ? Integer.MAX_VALUE : sequence.rows.size();
  }

  /**
   * Of two blocks with one prefix, the one that layers with a window hold too is found, or whose
   * routes are known.
   */
  private void name(int block, Prefix prefix) {
    int before = pool.find(prefix);
    if (before >= 0
        && (windows.holds(block) && !windows.holds(before)
            || routes[block] != null && routes[before] == null)) {
      pool.unname(before);
    }
    pool.name(block, prefix);
  }

  /** Releases a sequence's blocks; its tokens are lost unless prefix sharing finds them. */
  void release(Sequence sequence) {
    windows.release(sequence);
    for (int i = sequence.held - 1; i >= 0; i--) { // a prefix's start stays cached longest
      pool.release(sequence.blocks[i]);
    }
    forget(sequence);
  }

  /** Drops the blocks that {@link #find} found. */
  static void forget(Sequence sequence) {
    sequence.held = 0;
    sequence.windowFirst = 0;
    sequence.windowEnd = 0;
    sequence.named = 0;
    sequence.computed = 0;
  }
}
