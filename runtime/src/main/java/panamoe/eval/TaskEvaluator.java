package panamoe.eval;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.backend.LossKernels;
import panamoe.data.Continuation;
import panamoe.data.Tokenizer;
import panamoe.engine.GenerationOutcome;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Runs tasks on a model and counts the right answers. Deterministic. Used by one thread. */
public record TaskEvaluator(Backend backend, LanguageModel model, Tokenizer tokenizer) {
  /** Most tokens of a written answer. */
  private static final int ANSWER_TOKENS = 32;

  /**
   * A continuation's score.
   *
   * @param nats its log-likelihood
   * @param greedy whether each of its tokens is the most probable one
   */
  private record Answer(double nats, boolean greedy) {}

  private static final class Sums {
    private long tasks;
    private long correct;
    private long correctPerByte;
    private double f1;
    private double f1Squares;
    private double nats;
    private double natsSquares;

    void add(boolean right, boolean rightPerByte, double likelihood) {
      tasks++;
      correct += right ? 1 : 0;
      correctPerByte += rightPerByte ? 1 : 0;
      nats += likelihood;
      natsSquares += likelihood * likelihood;
    }

    void add(boolean right, double words, double likelihood) {
      add(right, false, likelihood);
      f1 += words;
      f1Squares += words * words;
    }

    TaskScore score(Task.Kind kind) {
      Accuracy perByte = kind == Task.Kind.CHOICE ? new Accuracy(correctPerByte, tasks) : null;
      Mean words = kind == Task.Kind.ANSWER ? Mean.of(f1, f1Squares, tasks) : null;
      Mean likelihood = Mean.of(nats, natsSquares, tasks);
      return new TaskScore(new Accuracy(correct, tasks), perByte, words, likelihood);
    }
  }

  /** The scores by kind, without examples. */
  public Map<Task.Kind, TaskScore> measure(List<Task> tasks) {
    return measure(tasks, Shots.NONE);
  }

  /**
   * The scores by kind. A context that is too long for the model loses its beginning.
   *
   * @param shots examples before each task
   * @throws IllegalArgumentException with the number of the task, from 1, if an answer alone is
   *     longer than the model's context, or its likelihood is not a finite number
   * @throws CancellationException if the thread is interrupted
   */
  public Map<Task.Kind, TaskScore> measure(List<Task> tasks, Shots shots) {
    Map<Task.Kind, Sums> sums = new EnumMap<>(Task.Kind.class);
    for (int i = 0; i < tasks.size(); i++) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the evaluation was interrupted");
      }
      Sums ofKind = sums.computeIfAbsent(tasks.get(i).kind(), _ -> new Sums());
      try {
        ask(shots.before(tasks.get(i), i), ofKind);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("task " + (i + 1) + ": " + e.getMessage(), e);
      }
    }
    Map<Task.Kind, TaskScore> scores = new EnumMap<>(Task.Kind.class);
    sums.forEach((kind, ofKind) -> scores.put(kind, ofKind.score(kind)));
    return scores;
  }

  private void ask(Task task, Sums sums) {
    switch (task) {
      case Task.LastWord last -> {
        Answer answer = answer(last.context(), last.word());
        sums.add(answer.greedy(), false, answer.nats());
      }
      case Task.Choice choice -> {
        double[] nats =
            choice.choices().stream()
                .mapToDouble(c -> answer(choice.context(), c).nats())
                .toArray();
        double[] perByte = new double[nats.length];
        Arrays.setAll(perByte, i -> nats[i] / bytes(choice.choices().get(i)));
        int right = choice.answer();
        sums.add(isBest(nats, right), isBest(perByte, right), nats[right]);
      }
      case Task.Answer question -> {
        List<String> right = question.answers();
        double nats = answer(question.context(), " " + right.getFirst()).nats();
        String line = written(question.context());
        sums.add(WrittenAnswer.matches(line, right), WrittenAnswer.f1(line, right), nats);
      }
    }
  }

  /** What the model writes greedily after the context, up to the end of the line. */
  private String written(String context) {
    model.config().requireGeneration();
    int most = model.config().context() - ANSWER_TOKENS;
    Require.that(
        most > 0,
        "the model's context is %s tokens, an answer may have %s",
        model.config().context(),
        ANSWER_TOKENS);
    int[] tokens = GenerationRequest.tokensOf(context, tokenizer);
    int[] end = Arrays.copyOfRange(tokens, Math.max(0, tokens.length - most), tokens.length);
    StopConfig stop = StopConfig.of(ANSWER_TOKENS, List.of("\n"));
    try (Engine engine = Engine.forOne(backend, model, tokenizer)) {
      return engine
          .run(GenerationRequest.of(end, SamplingConfig.GREEDY, stop), new GenerationOutcome())
          .text();
    }
  }

  private Answer answer(String context, String continuation) {
    Continuation asked =
        Continuation.of(tokenizer, context, continuation, model.config().context() + 1);
    return answer(asked.tokens(), asked.from());
  }

  /** The likelihood of the tokens from index {@code from} on, given those before. */
  private Answer answer(int[] tokens, int from) {
    int length = tokens.length - 1;
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, length).set(Arrays.copyOf(tokens, length));
      Pass pass = Pass.inference(backend, scope);
      Tensor hidden =
          model.forward(pass, ids, Sequences.Whole.of(scope, length, length), null, false);
      Tensor logits = model.head().logits(pass, hidden.rows(from - 1, length));
      Tensor targets =
          scope
              .allocate(DType.INT32, length - from + 1)
              .set(Arrays.copyOfRange(tokens, from, tokens.length));
      Tensor losses = scope.allocate(DType.FLOAT32, targets.shape());
      backend.crossEntropy(new LossKernels.Tokens(targets, 0, 0, losses, 0), logits, null);
      double nats = -losses.sum();
      boolean greedy = true;
      for (int i = from; i < tokens.length; i++) {
        float[] row = logits.rows(i - from, i - from + 1).toFloats();
        greedy &= mostProbable(row) == tokens[i];
      }
      if (!Double.isFinite(nats)) {
        throw new NotFinite("");
      }
      return new Answer(nats, greedy);
    }
  }

  /** The first of equals, like greedy decoding. */
  private static int mostProbable(float[] logits) {
    int best = 0;
    for (int token = 1; token < logits.length; token++) {
      if (logits[token] > logits[best]) {
        best = token;
      }
    }
    return best;
  }

  /** Whether one value is above all others: a model without a preference has no answer. */
  private static boolean isBest(double[] values, int one) {
    return IntStream.range(0, values.length).allMatch(i -> i == one || values[i] < values[one]);
  }

  private static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }
}
