package panamoe.engine;

import panamoe.io.Require;

/**
 * How much an engine holds and computes at a time. Only {@code int8Cache} changes results: every
 * other setting leaves each sequence's bits as they are.
 *
 * @param blocks of the key/value cache on each data rank
 * @param blockSize tokens in a block
 * @param sequences most sequences that run at a time on each data rank
 * @param stepTokens most rows of a step on each data rank: more make prefill faster, and each step
 *     slower for the sequences that decode
 * @param reserve the part of a sequence's remaining tokens that must have free blocks before it
 *     starts, 0 to 1; with 1 no sequence is ever preempted
 * @param sharePrefixes whether full blocks are kept for later sequences with the same prefix
 * @param guesses most tokens of prompt lookup that are verified with a sequence's last token
 * @param int8Cache whether keys and values are int8 with a scale for each token and head; otherwise
 *     they have the dtype of activations
 */
public record EngineConfig(
    int blocks,
    int blockSize,
    int sequences,
    int stepTokens,
    double reserve,
    boolean sharePrefixes,
    int guesses,
    boolean int8Cache) {
  /** The default block size in tokens. */
  public static final int BLOCK = 16;

  /** The default for {@code stepTokens}. */
  public static final int STEP_TOKENS = 512;

  private static final double RESERVE = 0.25;

  public EngineConfig {
    requirePositive("the number of blocks", blocks);
    requirePositive("the size of a block", blockSize);
    requirePositive("the number of sequences", sequences);
    requirePositive("the number of tokens of a step", stepTokens);
    Require.that(
        stepTokens >= sequences,
        "a step of %s tokens has no room for one of each of %s sequences",
        stepTokens,
        sequences);
    Require.that(guesses >= 0, "the guesses are %s, expected 0 or more", guesses);
    Require.that(reserve >= 0 && reserve <= 1, "the reserve is %s, expected 0 to 1", reserve);
  }

  /** With keys and values in the dtype of activations. */
  public EngineConfig(
      int blocks,
      int blockSize,
      int sequences,
      int stepTokens,
      double reserve,
      boolean sharePrefixes,
      int guesses) {
    this(blocks, blockSize, sequences, stepTokens, reserve, sharePrefixes, guesses, false);
  }

  /** For one sequence at a time, up to {@code context} tokens long. */
  public static EngineConfig one(int context) {
    return of(1, context);
  }

  /** For {@code sequences} at a time, each up to {@code context} tokens long. */
  public static EngineConfig of(int sequences, int context) {
    int each = Math.ceilDiv(context, BLOCK);
    Require.that(
        sequences <= Integer.MAX_VALUE / each,
        "%s sequences of %s tokens exceed the maximum size of a cache",
        sequences,
        context);
    return new EngineConfig(
        sequences * each, BLOCK, sequences, Math.max(sequences, STEP_TOKENS), RESERVE, true, 0);
  }

  /** With another number of blocks on each data rank. */
  public EngineConfig withBlocks(int changed) {
    return new EngineConfig(
        changed, blockSize, sequences, stepTokens, reserve, sharePrefixes, guesses, int8Cache);
  }

  public EngineConfig withGuesses(int changed) {
    return new EngineConfig(
        blocks, blockSize, sequences, stepTokens, reserve, sharePrefixes, changed, int8Cache);
  }

  /** Without prefix sharing. */
  public EngineConfig withoutSharing() {
    return new EngineConfig(
        blocks, blockSize, sequences, stepTokens, reserve, false, guesses, int8Cache);
  }

  public EngineConfig withInt8Cache(boolean changed) {
    return new EngineConfig(
        blocks, blockSize, sequences, stepTokens, reserve, sharePrefixes, guesses, changed);
  }

  /** The number of blocks that {@code tokens} need. */
  public int blocksOf(int tokens) {
    return Math.ceilDiv(tokens, blockSize);
  }

  /**
   * The blocks of layers with an attention window: twice what running sequences can use, so that
   * windows of earlier sequences stay in the cache for prefix sharing, but not more than other
   * layers have. A step's rows count twice because blocks of rejected guesses are held until their
   * sequence is planned again.
   */
  public int windowBlocks(int window) {
    if (window == 0) {
      return 0;
    }
    // A window may begin and end within a block.
    long windows = sequences * (blocksOf(window) + 2L);
    return (int) Math.min(blocks, 2 * (windows + blocksOf(stepTokens)));
  }

  /** The block table's row for a slot's blocks of layers with a window. */
  public int windowSlot(int slot) {
    return sequences + slot;
  }

  private static void requirePositive(String name, int value) {
    Require.that(value >= 1, "%s is %s, expected 1 or more", name, value);
  }
}
