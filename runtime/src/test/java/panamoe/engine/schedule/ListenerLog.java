package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.sample.TokenLogprobs;

/** Keeps all events of a sequence. */
public final class ListenerLog implements GenerationListener {
  public final List<Integer> tokens = new ArrayList<>();
  public final List<int[]> experts = new ArrayList<>();
  public final List<Long> logprobBits = new ArrayList<>();
  public final List<Long> promptBits = new ArrayList<>();
  public final StringBuilder text = new StringBuilder();
  public Integer ending;
  public float[] read;
  public Generation generation;
  public RuntimeException failure;

  @Override
  public void sampled(int token, TokenLogprobs logprobs, int[] routed) {
    tokens.add(token);
    experts.add(routed);
    if (logprobs != null) {
      logprobBits.addAll(bits(logprobs));
    }
  }

  @Override
  public void prompted(List<TokenLogprobs> logprobs) {
    assertTrue(tokens.isEmpty(), "a token was sampled before the prompt was read");
    logprobs.forEach(each -> promptBits.addAll(bits(each)));
  }

  @Override
  public void ending(int token, TokenLogprobs logprobs) {
    ending = token;
    logprobBits.addAll(bits(logprobs));
  }

  /** The bits of a token's log probability, and of the best ones. */
  static List<Long> bits(TokenLogprobs logprobs) {
    return DoubleStream.concat(
            DoubleStream.of(logprobs.logprob()), Arrays.stream(logprobs.logprobs()))
        .mapToObj(Double::doubleToLongBits)
        .toList();
  }

  @Override
  public void wrote(String piece) {
    text.append(piece);
  }

  @Override
  public void read(float[] values) {
    read = values;
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
