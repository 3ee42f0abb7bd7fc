package panamoe.engine;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;

/** What drawing a sequence's next token depends on beside the logits. Used by one thread. */
public final class SamplerState {
  private final SamplingConfig config;
  private final SplittableRandom random;
  private final BitSet seen = new BitSet();
  private final Map<Integer, Integer> written = new HashMap<>();

  public SamplerState(SamplingConfig config) {
    this.config = config;
    this.random = new SplittableRandom(config.seed());
  }

  SamplingConfig config() {
    return config;
  }

  /** A uniform number in [0, 1), the next of the sequence's stream. */
  double draw() {
    return random.nextDouble();
  }

  /** Records a token of the prompt. */
  public void read(int token) {
    if (config.penalties().repetition() != 1) {
      seen.set(token);
    }
  }

  /** Records a token of the text. */
  public void wrote(int token) {
    read(token);
    if (config.penalties().counts()) {
      written.merge(token, 1, Integer::sum);
    }
  }

  /** Applies biases and penalties to logits [V]. */
  void change(float[] logits) {
    config.logitBias().forEach((token, bias) -> logits[token] += bias);
    // Not 0, of which a token that must not come, at minus infinity, would become NaN.
    float repetition = Math.max((float) config.penalties().repetition(), Float.MIN_NORMAL);
    for (int token = seen.nextSetBit(0); token >= 0; token = seen.nextSetBit(token + 1)) {
      logits[token] = logits[token] > 0 ? logits[token] / repetition : logits[token] * repetition;
    }
    written.forEach(
        (token, times) ->
            logits[token] -=
                (float) (config.penalties().presence() + times * config.penalties().frequency()));
  }
}
