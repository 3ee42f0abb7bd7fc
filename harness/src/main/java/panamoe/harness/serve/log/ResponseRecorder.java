package panamoe.harness.serve.log;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.sample.TokenLogprobs;

/** Records a completion with the bits of its log probabilities, which the request must ask for. */
public final class ResponseRecorder implements GenerationListener {
  private final Consumer<ResponseRecorder> onEnd;
  private final List<Integer> tokens = new ArrayList<>();
  private final List<Double> logprobs = new ArrayList<>();
  private Generation.End end;
  private RuntimeException failure;

  public ResponseRecorder(Consumer<ResponseRecorder> onEnd) {
    this.onEnd = onEnd;
  }

  @Override
  public void sampled(int token, TokenLogprobs told, int[] experts) {
    tokens.add(token);
    logprobs.add(told.logprob());
  }

  @Override
  public void ended(Generation generation) {
    end = generation.end();
    onEnd.accept(this);
  }

  @Override
  public void failed(RuntimeException why) {
    failure = why;
    onEnd.accept(this);
  }

  /** Whether the completion has ended or failed. */
  public boolean over() {
    return end != null || failure != null;
  }

  public LoggedCompletion.Answer answer() {
    return new LoggedCompletion.Answer(
        tokens.stream().mapToInt(Integer::intValue).toArray(),
        logprobs.stream().map(ResponseRecorder::bits).toArray(String[]::new),
        end,
        failure == null ? null : String.valueOf(failure.getMessage()));
  }

  private static String bits(double logprob) {
    return HexFormat.of().toHexDigits(Double.doubleToRawLongBits(logprob));
  }
}
