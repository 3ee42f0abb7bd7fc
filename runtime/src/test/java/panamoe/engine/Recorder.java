package panamoe.engine;

import java.util.ArrayList;
import java.util.List;

/** Keeps all that is told of a text. */
final class Recorder implements GenerationListener {
  final List<Integer> tokens = new ArrayList<>();
  final List<int[]> experts = new ArrayList<>();
  final List<Long> logprobBits = new ArrayList<>();
  final StringBuilder text = new StringBuilder();
  Generation generation;
  RuntimeException failure;

  @Override
  public void drew(int token, TokenLogprobs logprobs, int[] routed) {
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

  boolean over() {
    return generation != null || failure != null;
  }
}
