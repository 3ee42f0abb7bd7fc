package panamoe.engine;

/**
 * Draws tokens from logits, without allocating after construction. Ties go to the lower token. Used
 * by one thread, for any number of sequences: what a draw depends on is the sequence's {@link
 * SamplerState}.
 */
public final class Sampler {
  // A max-heap of candidates, each a sortable logit in the upper and the complemented token in the
  // lower half.
  private final long[] heap;
  private final int[] chosen;
  private final double[] cumulative;

  public Sampler(int vocabulary) {
    this.heap = new long[vocabulary];
    this.chosen = new int[vocabulary];
    this.cumulative = new double[vocabulary];
  }

  /**
   * Draws the next token; the caller tells the state of it.
   *
   * @param logits [V]; overwritten
   */
  public int next(float[] logits, SamplerState state) {
    state.change(logits);
    SamplingConfig config = state.config();
    if (config.temperature() == 0) {
      return argmax(logits);
    }
    int candidates = collect(logits, config);
    double draw = state.draw() * cumulative[candidates - 1];
    int index = 0;
    while (index < candidates - 1 && cumulative[index] <= draw) {
      index++;
    }
    return chosen[index];
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
  private int collect(float[] logits, SamplingConfig config) {
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
      double weight = Math.exp((logit - maximum) / config.temperature());
      total += weight >= config.minP() ? weight : 0;
    }
    int limit = config.topK() == 0 ? vocabulary : Math.min(config.topK(), vocabulary);
    // top-p applies to the distribution over the top-k, so the total is known only after the top-k
    // are collected.
    double kept = limit == vocabulary ? total : 0;
    double sum = 0;
    int size = vocabulary;
    int count = 0;
    while (count < limit) {
      int token = token(heap[0]);
      double weight = Math.exp((logits[token] - maximum) / config.temperature());
      if (weight < config.minP()) {
        break;
      }
      heap[0] = heap[--size];
      sink(0, size);
      chosen[count] = token;
      sum += weight;
      cumulative[count++] = sum;
      if (kept > 0 && sum >= config.topP() * kept) {
        return count;
      }
    }
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
