package panamoe.engine.schedule;

import java.util.Arrays;
import panamoe.engine.EngineConfig;

/**
 * The blocks of the layers with an attention window, on one data rank; of none if no layer has one.
 * Each belongs to a block of the other layers, its owner, and holds the same positions. A sequence
 * uses it until all its positions lie before the window of the sequence's next row.
 *
 * <p>One is free whenever one is taken: {@link EngineConfig#windowBlocks} are as many as the
 * others, and a block is used only while its owner is; or they are more than running sequences can
 * use. So only the other blocks decide who starts, and who is interrupted. Used by the engine's
 * thread.
 */
final class WindowBlocks {
  private final EngineConfig config;
  private final int window;
  private final BlockPool pool;
  // The latest block of each owner, and the latest owner of each block.
  private final int[] blocks;
  private final int[] owners;

  /**
   * @param window positions that a row reads, its own included; 0: no layer has a window
   */
  WindowBlocks(EngineConfig config, int window) {
    this.config = config;
    this.window = window;
    this.pool = new BlockPool(config.windowBlocks(window));
    this.blocks = new int[window == 0 ? 0 : config.blocks()];
    this.owners = new int[pool.size()];
    Arrays.fill(owners, -1);
  }

  /** Blocks that running sequences use. */
  int used() {
    return pool.size() - pool.unused();
  }

  /** The index of the first block that a row at {@code position} needs; none is before it. */
  int first(int position) {
    return window == 0
        ? config.blocksOf(position)
        : Math.max(0, position - window + 1) / config.blockSize();
  }

  /** Whether the text in {@code owner} is here too. */
  boolean holds(int owner) {
    return window > 0 && owners[blocks[owner]] == owner;
  }

  /** Uses what the next row of a sequence reads of the owners that were found for it. */
  void share(Sequence sequence, StepPlan plan) {
    sequence.windowFirst = first(sequence.computed);
    for (int i = sequence.windowFirst; i < sequence.held; i++) {
      pool.share(blocks[sequence.blocks[i]]);
      changed(sequence, i, plan);
    }
    sequence.windowEnd = sequence.held;
  }

  /** Gives a sequence the blocks of its next {@code count} rows, and none behind them. */
  void extend(Sequence sequence, int count, StepPlan plan) {
    if (window == 0) {
      return;
    }
    int end = config.blocksOf(sequence.computed + count);
    while (sequence.windowEnd > end) { // of guesses that were wrong
      release(sequence, --sequence.windowEnd);
    }
    while (sequence.windowEnd < end) {
      int owner = sequence.blocks[sequence.windowEnd];
      blocks[owner] = pool.take();
      owners[blocks[owner]] = owner;
      changed(sequence, sequence.windowEnd++, plan);
    }
  }

  private void changed(Sequence sequence, int index, StepPlan plan) {
    int slot = config.windowSlot(sequence.slot);
    plan.rank(sequence.rank).change(slot, index, blocks[sequence.blocks[index]]);
  }

  /**
   * Lets go what no later row of a sequence reads. Guesses that were wrong are computed again, so
   * the next row is the one after what is computed. Entries of the table stay: kernels read none
   * before a row's window.
   */
  void slide(Sequence sequence) {
    int first = first(sequence.computed);
    while (sequence.windowFirst < Math.min(first, sequence.windowEnd)) {
      release(sequence, sequence.windowFirst++);
    }
  }

  /** Lets all blocks of a sequence go. */
  void release(Sequence sequence) {
    while (sequence.windowEnd > sequence.windowFirst) { // the start of a window is kept the longest
      release(sequence, --sequence.windowEnd);
    }
  }

  private void release(Sequence sequence, int index) {
    pool.release(blocks[sequence.blocks[index]]);
  }
}
