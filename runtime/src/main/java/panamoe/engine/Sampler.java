package panamoe.engine;

import java.util.Arrays;

/**
 * Draws tokens from logits, without allocating after construction. Ties go to the lower token. Used
 * by one thread, for any number of sequences: what a draw depends on is the sequence's {@link
 * SamplerState}.
 *
 * <p>A draw asks for the token at a place in the order of probability. Tokens are put into levels
 * by their logits, best first, and only the level with the place is sorted.
 */
public final class Sampler {
  private static final int LEVELS = 1024;

  /** Below the best logit, in units of temperature, from where on all tokens share a level. */
  private static final float LOWEST = 40;

  private final double[] weights;
  private final short[] levels;
  private final int[] counts = new int[LEVELS];
  private final double[] masses = new double[LEVELS];
  // A level's tokens in order.
  private final long[] sorted;
  // Where the latest walk stopped.
  private int token;
  private double mass;

  public Sampler(int vocabulary) {
    this.weights = new double[vocabulary];
    this.levels = new short[vocabulary];
    this.sorted = new long[vocabulary];
  }

  /**
   * Draws the next token; the caller tells the state of it.
   *
   * @param logits [V]; overwritten
   */
  public int next(float[] logits, SamplerState state) {
    state.change(logits);
    SamplingConfig config = state.config();
    int best = argmax(logits);
    if (config.temperature() == 0) {
      return best;
    }
    int kept = weigh(logits, logits[best], config);
    // top-p applies to the distribution over the tokens that are kept.
    walk(logits, Double.POSITIVE_INFINITY, kept);
    if (config.topP() < 1) {
      walk(logits, config.topP() * mass, kept);
    }
    walk(logits, Math.nextUp(state.draw() * mass), kept);
    return token;
  }

  private static int argmax(float[] logits) {
    int best = 0;
    for (int token = 1; token < logits.length; token++) {
      if (logits[token] > logits[best]) {
        best = token;
      }
    }
    return best;
  }

  /**
   * Weighs tokens relative to the best one, and puts them into levels.
   *
   * @return how many min-p and top-k keep
   */
  private int weigh(float[] logits, float best, SamplingConfig config) {
    double temperature = config.temperature();
    double cold = 1 / temperature;
    for (int i = 0; i < logits.length; i++) {
      // An infinite logit, or 1 / temperature, would make NaN of the best one.
      weights[i] = logits[i] == best ? 1 : Math.exp((logits[i] - (double) best) * cold);
    }
    Arrays.fill(counts, 0);
    Arrays.fill(masses, 0);
    float scale = (LEVELS - 1) / depth(logits, best, (float) (LOWEST * temperature));
    int kept = 0;
    for (int i = 0; i < logits.length; i++) {
      double weight = weights[i];
      int level = -1;
      if (weight > 0) {
        level = Math.min(LEVELS - 1, (int) ((best - logits[i]) * scale));
        counts[level]++;
        masses[level] += weight;
        kept += weight >= config.minP() ? 1 : 0;
      }
      levels[i] = (short) level;
    }
    return config.topK() == 0 ? kept : Math.min(kept, config.topK());
  }

  /** How far the logits go below the best one, at most {@code most}, and above 0. */
  private static float depth(float[] logits, float best, float most) {
    float least = best;
    for (float logit : logits) {
      if (logit < least) {
        least = logit;
      }
    }
    return Math.max(Math.min(best - least, most), Float.MIN_NORMAL * LEVELS);
  }

  /**
   * Walks down the order of probability until the weights so far reach {@code target}, or {@code
   * most} tokens. Sets token and mass to the last one and the weights up to it.
   */
  private void walk(float[] logits, double target, int most) {
    double sum = 0;
    int passed = 0;
    for (int level = 0; level < LEVELS; level++) {
      int size = counts[level];
      if (size == 0) {
        continue;
      }
      if (passed + size >= most || sum + masses[level] >= target) {
        sort(logits, level);
        mass = sum;
        for (int i = 0; i < Math.min(size, most - passed); i++) {
          token = token(sorted[i]);
          mass += weights[token];
          if (mass >= target) {
            return;
          }
        }
      }
      passed += size;
      sum += masses[level];
      if (passed >= most) {
        return;
      }
    }
  }

  private void sort(float[] logits, int level) {
    int size = 0;
    for (int i = 0; size < counts[level]; i++) {
      if (levels[i] == level) {
        sorted[size++] = key(logits[i], i);
      }
    }
    Arrays.sort(sorted, 0, size);
  }

  /** Ascends as logits descend, and as tokens ascend. */
  private static long key(float logit, int token) {
    int bits = Float.floatToIntBits(logit);
    int sortable = bits ^ (bits >> 31 & 0x7fffffff);
    return (long) ~sortable << 32 | token;
  }

  private static int token(long key) {
    return (int) key;
  }
}
