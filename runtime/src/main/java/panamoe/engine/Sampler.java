package panamoe.engine;

import java.util.BitSet;
import java.util.SplittableRandom;

/**
 * Draws tokens from logits, without allocating after construction. Ties go to the lower token. Used
 * by one thread. A sampler serves one sequence, because it records the sequence's tokens for the
 * repetition penalty.
 */
public final class Sampler {
  private final SamplingConfig config;
  private final SplittableRandom random;
  private final BitSet seen;
  // A max-heap of candidates, each a sortable logit in the upper and the complemented token in the
  // lower half.
  private final long[] heap;
  private final int[] chosen;
  private final double[] cumulative;

  public Sampler(SamplingConfig config, int vocabulary) {
    this.config = config;
    this.random = new SplittableRandom(config.seed());
    this.seen = new BitSet(vocabulary);
    this.heap = new long[vocabulary];
    this.chosen = new int[vocabulary];
    this.cumulative = new double[vocabulary];
  }

  /** Records a token of the sequence for the repetition penalty. */
  public void saw(int token) {
    seen.set(token);
  }

  /**
   * Draws the next token.
   *
   * @param logits [V]; overwritten
   */
  public int next(float[] logits) {
    if (config.repetitionPenalty() != 1) {
      penalizeSeen(logits);
    }
    if (config.temperature() == 0) {
      return argmax(logits);
    }
    int candidates = collect(logits);
    double draw = random.nextDouble() * cumulative[candidates - 1];
    int index = 0;
    while (index < candidates - 1 && cumulative[index] <= draw) {
      index++;
    }
    return chosen[index];
  }

  private void penalizeSeen(float[] logits) {
    float penalty = (float) config.repetitionPenalty();
    for (int token = seen.nextSetBit(0); token >= 0; token = seen.nextSetBit(token + 1)) {
      logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
    }
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
   * Fills chosen and cumulative with the allowed tokens, most probable first; returns their number.
   */
  private int collect(float[] logits) {
    int vocabulary = logits.length;
    for (int token = 0; token < vocabulary; token++) {
      heap[token] = key(logits[token], token);
    }
    for (int root = vocabulary / 2 - 1; root >= 0; root--) {
      sink(root, vocabulary);
    }
    double maximum = logits[token(heap[0])];
    double total = 0;
    for (float logit : logits) {
      total += Math.exp((logit - maximum) / config.temperature());
    }
    int limit = config.topK() == 0 ? vocabulary : Math.min(config.topK(), vocabulary);
    // top-p applies to the distribution over the top-k, so the total is known only after the top-k
    // are collected.
    double kept = limit == vocabulary ? total : 0;
    double sum = 0;
    int size = vocabulary;
    for (int i = 0; i < limit; i++) {
      int token = token(heap[0]);
      heap[0] = heap[--size];
      sink(0, size);
      chosen[i] = token;
      sum += Math.exp((logits[token] - maximum) / config.temperature());
      cumulative[i] = sum;
      if (kept > 0 && sum >= config.topP() * kept) {
        return i + 1;
      }
    }
    int count = limit;
    while (count > 1 && cumulative[count - 2] >= config.topP() * sum) {
      count--;
    }
    return count;
  }

  private static long key(float logit, int token) {
    int bits = Float.floatToIntBits(logit);
    int sortable = bits ^ (bits >> 31 & 0x7fffffff);
    return (long) sortable << 32 | ~token & 0xffffffffL;
  }

  private static int token(long key) {
    return ~(int) key;
  }

  private void sink(int root, int size) {
    int parent = root;
    for (int child = 2 * parent + 1; child < size; child = 2 * parent + 1) {
      if (child + 1 < size && heap[child + 1] > heap[child]) {
        child++;
      }
      if (heap[parent] >= heap[child]) {
        return;
      }
      long swapped = heap[parent];
      heap[parent] = heap[child];
      heap[child] = swapped;
      parent = child;
    }
  }
}
