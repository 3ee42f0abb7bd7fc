package panamoe.engine.sample;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;

/** What sampling depends on in addition to the logits. Used by one thread. */
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

  /** The next uniform number in [0, 1) of the sequence's stream. */
  double uniform() {
    return random.nextDouble();
  }

  /** Counts a token of the prompt. */
  public void read(int token) {
    if (config.penalties().repetition() != 1) {
      seen.set(token);
    }
  }

  /** Counts a token of the completion. */
  public void wrote(int token) {
    read(token);
    if (config.penalties().counts()) {
      written.merge(token, 1, Integer::sum);
    }
  }

  /** Whether {@link #change} changes anything. */
  boolean changes() {
    return !config.logitBias().isEmpty() || !seen.isEmpty() || !written.isEmpty();
  }

  /** Applies biases and penalties to a row of logits FLOAT32 [V]. */
  void change(MemorySegment logits) {
    SamplingConfig.Penalties penalties = config.penalties();
    config.logitBias().forEach((token, bias) -> set(logits, token, bias + get(logits, token)));
    float repetition = Math.max((float) penalties.repetition(), Float.MIN_NORMAL); // not 0
    for (int token = seen.nextSetBit(0); token >= 0; token = seen.nextSetBit(token + 1)) {
      float logit = get(logits, token);
      set(logits, token, logit > 0 ? logit / repetition : logit * repetition);
    }
    written.forEach(
        (token, times) ->
            set(
                logits,
                token,
                get(logits, token)
                    - (float) (penalties.presence() + times * penalties.frequency())));
  }

  private static float get(MemorySegment logits, int token) {
    return logits.getAtIndex(ValueLayout.JAVA_FLOAT, token);
  }

  /** Sets a logit to a finite value; one that is not finite stays, because the model failed. */
  private static void set(MemorySegment logits, int token, float changed) {
    boolean finite = Float.isFinite(get(logits, token));
    float value = finite ? Math.clamp(changed, -Float.MAX_VALUE, Float.MAX_VALUE) : Float.NaN;
    logits.setAtIndex(ValueLayout.JAVA_FLOAT, token, value);
  }
}
