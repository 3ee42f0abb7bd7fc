package panamoe.harness.probe;

import java.util.Random;
import panamoe.data.TokenSequences;
import panamoe.tensor.Tensor;

/**
 * Random tokens; each sequence is drawn from its number.
 *
 * @param vocabulary numbers that are drawn from
 * @param length tokens of a sequence
 */
public record RandomTokens(int vocabulary, int length, long seed) implements TokenSequences {
  @Override
  public long fillTraining(long first, Tensor ids, Tensor targets) {
    Random random = new Random(seed * 31 + first);
    int[] tokens = new int[(int) ids.count()];
    int[] next = new int[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = random.nextInt(vocabulary);
      next[i] = random.nextInt(vocabulary);
    }
    ids.set(tokens);
    targets.set(next);
    return targets.count();
  }

  @Override
  public long fillValidation(long first, Tensor ids, Tensor targets) {
    return fillTraining(-1 - first, ids, targets);
  }
}
