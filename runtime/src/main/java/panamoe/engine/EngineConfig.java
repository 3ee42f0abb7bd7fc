package panamoe.engine;

import panamoe.io.Require;

/**
 * How much an engine holds and computes at a time. Nothing but {@code int8Cache} changes a bit of
 * any text.
 *
 * @param blocks of the key/value cache on each data rank
 * @param blockSize tokens of a block
 * @param sequences most that run at a time on each data rank
 * @param stepTokens most rows of a step on each data rank: more make a prompt faster, and each step
 *     slower for the sequences that are written meanwhile
 * @param reserve how much of the tokens that a sequence may still write must have room before it
 *     starts, 0 to 1; with 1 nothing is ever computed twice
 * @param sharePrefixes whether full blocks are kept for later sequences that begin alike
 * @param guesses most tokens that are guessed and computed at once behind a sequence's last one
 * @param int8Cache whether keys and values are bytes, with a scale for each token and head, instead
 *     of being of the dtype of activations
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
  /** Tokens of a block. */
  public static final int BLOCK = 16;

  /** Rows of a step where no number is asked for. */
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

  /** With a cache of the dtype of activations. */
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

  /** For one sequence at a time of up to {@code context} tokens. */
  public static EngineConfig one(int context) {
    return of(1, context);
  }

  /** Room for {@code sequences} that are all as long as the context. */
  public static EngineConfig of(int sequences, int context) {
    int each = Math.ceilDiv(context, BLOCK);
    Require.that(
        sequences <= Integer.MAX_VALUE / each,
        "%s texts of %s tokens are more than a cache can hold",
        sequences,
        context);
    return new EngineConfig(
        sequences * each, BLOCK, sequences, Math.max(sequences, STEP_TOKENS), RESERVE, true, 0);
  }

  public EngineConfig withGuesses(int changed) {
    return new EngineConfig(
        blocks, blockSize, sequences, stepTokens, reserve, sharePrefixes, changed, int8Cache);
  }

  /** With nothing kept of a sequence for later ones. */
  public EngineConfig withoutSharing() {
    return new EngineConfig(
        blocks, blockSize, sequences, stepTokens, reserve, false, guesses, int8Cache);
  }

  public EngineConfig withInt8Cache(boolean changed) {
    return new EngineConfig(
        blocks, blockSize, sequences, stepTokens, reserve, sharePrefixes, guesses, changed);
  }

  /** The blocks that {@code tokens} fill. */
  public int blocksOf(int tokens) {
    return Math.ceilDiv(tokens, blockSize);
  }

  /**
   * The blocks of layers that read {@code window} positions: twice what running sequences can use,
   * so that windows of earlier sequences stay for others that begin alike, and at most as many as
   * of other layers. The rows of a step count twice in any case: blocks of wrong guesses of the
   * step before are held until their sequence is planned.
   */
  public int windowBlocks(int window) {
    if (window == 0) {
      return 0;
    }
    // A window begins and ends within a block.
    long windows = sequences * (blocksOf(window) + 2L);
    return (int) Math.min(blocks, 2 * (windows + blocksOf(stepTokens)));
  }

  /** The row of the table with a slot's blocks of layers with a window. */
  public int windowSlot(int slot) {
    return sequences + slot;
  }

  private static void requirePositive(String name, int value) {
    Require.that(value >= 1, "%s is %s, expected 1 or more", name, value);
  }
}
