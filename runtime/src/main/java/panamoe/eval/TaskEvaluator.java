package panamoe.eval;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
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
    private double nats;

    void add(boolean right, boolean rightPerByte, double likelihood) {
      tasks++;
      correct += right ? 1 : 0;
      correctPerByte += rightPerByte ? 1 : 0;
      nats += likelihood;
    }

    TaskScore score(Task.Kind kind) {
      Accuracy perByte = kind == Task.Kind.CHOICE ? new Accuracy(correctPerByte, tasks) : null;
      return new TaskScore(new Accuracy(correct, tasks), perByte, nats / tasks);
    }
  }

  /**
   * The scores by kind. A context that is too long for the model loses its beginning.
   *
   * @throws IllegalArgumentException with the number of the task, from 1, if an answer alone is
   *     longer than the model's context, or its likelihood is not a finite number
   * @throws CancellationException if the thread is interrupted
   */
  public Map<Task.Kind, TaskScore> measure(List<Task> tasks) {
    Map<Task.Kind, Sums> sums = new EnumMap<>(Task.Kind.class);
    for (int i = 0; i < tasks.size(); i++) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the evaluation was interrupted");
      }
      Sums ofKind = sums.computeIfAbsent(tasks.get(i).kind(), _ -> new Sums());
      try {
        ask(tasks.get(i), ofKind);
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
    }
  }

  private Answer answer(String context, String continuation) {
    int[] before = tokenizer.encode(context);
    int[] whole = tokenizer.encode(context + continuation);
    // Merges may cross the boundary: the answer begins with the first token that differs.
    int common = Arrays.mismatch(before, whole);
    int from = Math.min(common < 0 ? whole.length : common, whole.length - 1);
    if (from < 1) { // no context: the answer begins a document
      whole = Arrays.copyOf(whole, whole.length + 1);
      System.arraycopy(whole, 0, whole, 1, whole.length - 1);
      whole[0] = tokenizer.endOfText();
      from = 1;
    }
    int capacity = model.config().context();
    Require.that(
        whole.length - from <= capacity,
        "the answer has %s tokens, more than the model's context of %s",
        whole.length - from,
        capacity);
    int dropped = Math.max(0, whole.length - 1 - capacity);
    return answer(Arrays.copyOfRange(whole, dropped, whole.length), from - dropped);
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
      double nats = 0;
      boolean greedy = true;
      for (int i = from; i < tokens.length; i++) {
        float[] row = logits.rows(i - from, i - from + 1).toFloats();
        nats += logProbability(row, tokens[i]);
        greedy &= mostProbable(row) == tokens[i];
      }
      if (!Double.isFinite(nats)) {
        throw new NotFinite("");
      }
      return new Answer(nats, greedy);
    }
  }

  private static double logProbability(float[] logits, int token) {
    double most = logits[mostProbable(logits)];
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - most);
    }
    return logits[token] - most - Math.log(sum);
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
