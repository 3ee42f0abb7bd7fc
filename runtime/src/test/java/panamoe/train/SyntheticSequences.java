package panamoe.train;

import java.util.Random;
import panamoe.data.TokenSequences;
import panamoe.tensor.Tensor;

/** Learnable sequences over 16 tokens: a token nearly always decides the next. */
record SyntheticSequences(int length, long seed) implements TokenSequences {
  static final int VOCABULARY = 16;

  @Override
  public Filled fillTraining(long first, Tensor ids, Tensor targets) {
    return fill(first, 1, ids, targets);
  }

  @Override
  public Filled fillValidation(long first, Tensor ids, Tensor targets) {
    return fill(-1 - first, -1, ids, targets);
  }

  private Filled fill(long first, int direction, Tensor ids, Tensor targets) {
    for (long sequence = 0; sequence < ids.count() / length; sequence++) {
      Random random = new Random(seed * 1_000_003 + first + direction * sequence);
      int token = random.nextInt(VOCABULARY);
      for (int i = 0; i < length; i++) {
        ids.setInt(sequence * length + i, token);
        token = random.nextInt(20) == 0 ? random.nextInt(VOCABULARY) : (5 * token + 1) % VOCABULARY;
        targets.setInt(sequence * length + i, token);
      }
    }
    return Filled.whole(targets.count(), targets.count() / length, length);
  }
}
