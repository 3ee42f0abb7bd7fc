package panamoe.engine.schedule;

import java.util.Arrays;
import panamoe.engine.EngineConfig;

/**
 * The blocks of layers with an attention window, on one data rank. Each belongs to a block of the
 * other layers, its owner, and holds the same positions. A sequence uses it until all its positions
 * lie before the window of the sequence's next row.
 *
 * <p>A free block exists whenever one is taken: {@link EngineConfig#windowBlocks} are either as
 * many as the other layers have, and a block is used only while its owner is, or more than running
 * sequences can use. The other layers' blocks alone therefore decide which sequences start and
 * which are preempted. Used by the engine's thread.
 */
final class WindowBlocks {
  private final EngineConfig config;
  private final int window;
  private final BlockPool pool;
  // The latest block of each owner, and the latest owner of each block.
  private final int[] blocks;
  private final int[] owners;

  /**
   * @param window positions that a row reads, with its own; 0 if no layer has a window
   */
  WindowBlocks(EngineConfig config, int window) {
    this.config = config;
    this.window = window;
    this.pool = new BlockPool(config.windowBlocks(window));
    this.blocks = new int[window == 0 ? 0 : config.blocks()];
    this.owners = new int[pool.size()];
    Arrays.fill(owners, -1);
  }

  /** The number of blocks in use. */
  int used() {
    return pool.size() - pool.unused();
  }

  /** The index of the first block that a row at {@code position} reads. */
  int first(int position) {
    return window == 0
        ? config.blocksOf(position)
        : Math.max(0, position - window + 1) / config.blockSize();
  }

  /** Whether {@code owner}'s positions are in a block here too. */
  boolean holds(int owner) {
    return window > 0 && owners[blocks[owner]] == owner;
  }

  /** Uses the blocks that a sequence's next row reads, of the owners that were found. */
  void share(Sequence sequence, StepPlan plan) {
    sequence.windowFirst = first(sequence.computed);
    for (int i = sequence.windowFirst; i < sequence.held; i++) {
      pool.share(blocks[sequence.blocks[i]]);
      changed(sequence, i, plan);
    }
    sequence.windowEnd = sequence.held;
  }

  /** Gives a sequence the blocks for its next {@code count} rows, and releases later ones. */
  void extend(Sequence sequence, int count, StepPlan plan) {
    if (window == 0) {
      return;
    }
    int end = config.blocksOf(sequence.computed + count);
    while (sequence.windowEnd > end) { // of rejected guesses
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
   * Releases the blocks that no later row of a sequence reads. The next row is the one after the
   * computed ones, because rejected guesses are computed again. The table's entries stay: kernels
   * read none before a row's window.
   */
  void slide(Sequence sequence) {
    int first = first(sequence.computed);
    while (sequence.windowFirst < Math.min(first, sequence.windowEnd)) {
      release(sequence, sequence.windowFirst++);
    }
  }

  /** Releases all blocks of a sequence. */
  void release(Sequence sequence) {
    while (sequence.windowEnd > sequence.windowFirst) { // a window's start stays cached longest
      release(sequence, --sequence.windowEnd);
    }
  }

  private void release(Sequence sequence, int index) {
    pool.release(blocks[sequence.blocks[index]]);
  }
}
