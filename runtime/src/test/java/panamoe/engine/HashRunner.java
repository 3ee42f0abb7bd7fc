package panamoe.engine;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * A model whose logits are random numbers drawn from a hash of the whole sequence, which it reads
 * through its table of blocks: a wrong block, or one that was given away too early, changes them.
 */
class HashRunner implements StepRunner {
  static final int VOCABULARY = 61;

  /** A prompt token after which the logits are not numbers. */
  static final int NAN = 58;

  /** A token that the model refuses. */
  static final int REFUSED = 59;

  private final int blockSize;
  private final int[][][] tables;
  private final int[][][] caches;
  private float[][][] logits;
  long rows;
  int steps;

  HashRunner(EngineConfig config, int ranks, int context) {
    blockSize = config.blockSize();
    tables = new int[ranks][config.sequences()][config.blocksOf(context)];
    caches = new int[ranks][config.blocks()][blockSize];
    for (int rank = 0; rank < ranks; rank++) {
      Arrays.stream(tables[rank]).forEach(table -> Arrays.fill(table, -1));
      Arrays.stream(caches[rank]).forEach(block -> Arrays.fill(block, -1));
    }
  }

  @Override
  public void run(StepPlan plan) {
    logits = new float[plan.ranks()][][];
    steps++;
    for (int rank = 0; rank < plan.ranks(); rank++) {
      StepRows step = plan.rank(rank);
      for (int i = 0; i < step.changedSlots.size(); i++) {
        tables[rank][step.changedSlots.get(i)][step.changedIndices.get(i)] =
            step.changedBlocks.get(i);
      }
      for (int row = 0; row < step.count; row++) {
        int block = tables[rank][step.slots[row]][step.positions[row] / blockSize];
        caches[rank][block][step.positions[row] % blockSize] = step.tokens[row];
        if (step.tokens[row] == REFUSED) {
          throw new IllegalArgumentException("token " + REFUSED + " is refused");
        }
      }
      rows += step.count;
      logits[rank] = new float[step.wantedCount][];
      for (int i = 0; i < step.wantedCount; i++) {
        int row = step.wanted[i];
        logits[rank][i] = after(rank, step.slots[row], step.positions[row]);
      }
    }
  }

  private float[] after(int rank, int slot, int position) {
    long hash = 17;
    boolean number = true;
    for (int i = 0; i <= position; i++) {
      int token = caches[rank][tables[rank][slot][i / blockSize]][i % blockSize];
      hash = 1_000_003 * hash + token;
      number &= token != NAN;
    }
    SplittableRandom random = new SplittableRandom(hash);
    float[] drawn = new float[VOCABULARY];
    for (int token = 0; token < VOCABULARY; token++) {
      drawn[token] = number ? (float) (4 * random.nextDouble()) : Float.NaN;
    }
    drawn[NAN] = -100; // never written by itself
    drawn[REFUSED] = -100;
    return drawn;
  }

  @Override
  public void logits(int rank, int wanted, float[] into) {
    System.arraycopy(logits[rank][wanted], 0, into, 0, into.length);
  }

  @Override
  public void close() {}
}
