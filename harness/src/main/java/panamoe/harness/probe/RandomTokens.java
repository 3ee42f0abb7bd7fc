package panamoe.harness.probe;

import java.util.Random;
import panamoe.data.TokenSequences;
import panamoe.tensor.Tensor;

/**
 * Random tokens; a sequence depends only on the seed and its index.
 *
 * @param vocabulary number of token ids
 * @param length tokens per sequence
 */
public record RandomTokens(int vocabulary, int length, long seed) implements TokenSequences {
  @Override
  public Filled fillTraining(long first, Tensor ids, Tensor targets) {
    Random random = new Random(seed * 31 + first);
    int[] tokens = new int[(int) ids.count()];
    int[] next = new int[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = random.nextInt(vocabulary);
      next[i] = random.nextInt(vocabulary);
    }
    ids.set(tokens);
    targets.set(next);
    return Filled.whole(targets.count(), targets.count() / length, length);
  }

  @Override
  public Filled fillValidation(long first, Tensor ids, Tensor targets) {
    return fillTraining(-1 - first, ids, targets);
  }
}
