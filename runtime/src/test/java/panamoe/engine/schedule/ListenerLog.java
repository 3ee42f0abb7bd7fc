package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.List;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.sample.TokenLogprobs;

/** Keeps all events of a sequence. */
public final class ListenerLog implements GenerationListener {
  public final List<Integer> tokens = new ArrayList<>();
  public final List<int[]> experts = new ArrayList<>();
  public final List<Long> logprobBits = new ArrayList<>();
  public final StringBuilder text = new StringBuilder();
  public Generation generation;
  public RuntimeException failure;

  @Override
  public void sampled(int token, TokenLogprobs logprobs, int[] routed) {
    tokens.add(token);
    experts.add(routed);
    if (logprobs != null) {
      logprobBits.add(Double.doubleToLongBits(logprobs.logprob()));
      for (double logprob : logprobs.logprobs()) {
        logprobBits.add(Double.doubleToLongBits(logprob));
      }
    }
  }

  @Override
  public void wrote(String piece) {
    text.append(piece);
  }

  @Override
  public void ended(Generation ended) {
    generation = ended;
  }

  @Override
  public void failed(RuntimeException cause) {
    failure = cause;
  }

  public boolean over() {
    return generation != null || failure != null;
  }
}
