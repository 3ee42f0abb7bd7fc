package panamoe.lab.conformance.transformers;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.backend.GateSettings;
import panamoe.checkpoint.RowSource;
import panamoe.config.MoeConfig;
import panamoe.data.TokenSequences;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.ModelRows;
import panamoe.lab.conformance.replay.Replay;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.family.ExportedModel;
import panamoe.model.family.ReleasedModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.AdamW;
import panamoe.train.Objective;
import panamoe.train.RunConfig;
import panamoe.train.StepMetrics;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/** Whole models after some training steps in transformers, in the case's folder. */
public final class TrainingCases {
  /**
   * In multiples of AdamW's epsilon: for smaller gradients, rounding decides how far a weight
   * moves.
   */
  private static final double SMALL = 100;

  private TrainingCases() {}

  /**
   * Compares losses and norms of every step, gradients of the first, and weights after the first
   * and the last.
   */
  public static void steps(Replay replay) {
    GoldenFile golden = replay.golden();
    ModelFolder folder = ModelFolder.open(golden.path().toAbsolutePath().getParent());
    ReleasedModel released = ((StoredWeights.Released) folder.weights()).model();
    double weight = golden.setting("router_aux_loss_coef").asDouble();
    RunConfig run = new RunConfig(released.balanced(weight), training(golden), 0);
    try (LanguageModel model = new LanguageModel(run.model())) {
      model.materialize(replay.backend(), DType.FLOAT32, true, 0);
      folder
          .weights()
          .load(
              ModelTensors.masterDestinations(model.parameters()),
              replay.backend(),
              true,
              true,
              _ -> {});
      model.parameters().refresh(replay.backend());
      Recorded tokens = Recorded.of(golden);
      Trainer trainer =
          new Trainer(replay.backend(), model, run, tokens, meanOfPredicted(tokens.length()));
      int steps = run.training().schedule().steps();
      Map<String, boolean[]> unsteady = new HashMap<>();
      double small = SMALL * run.training().adamW().epsilon();
      float[] loss = new float[steps];
      float[] auxiliary = new float[steps];
      float[] norm = new float[steps];
      for (int step = 0; step < steps; step++) {
        double balance = weight == 0 ? 0 : balance(replay.backend(), model, tokens, step);
        StepMetrics metrics = trainer.next();
        double predicted = metrics.loss() * tokens.length() / (tokens.length() - 1);
        auxiliary[step] = (float) balance;
        loss[step] = (float) (predicted + weight * balance);
        norm[step] = (float) metrics.gradientNorm();
        double scale = Math.min(1, run.training().adamW().clip() / (metrics.gradientNorm() + 1e-6));
        Map<String, float[]> gradients = peers(released, model, Parameter::gradient);
        gradients.forEach((name, gradient) -> mark(unsteady, name, gradient, scale, small));
        if (step == 0) {
          compare(replay, "grad0.", gradients);
          compare(replay, "step1.", peers(released, model, Parameter::master));
        }
      }
      replay.close("loss", loss);
      replay.close("aux_loss", auxiliary);
      replay.close("grad_norm", norm);
      compareLast(
          replay, peers(released, model, Parameter::master), unsteady, 2 * steps * rate(golden));
    }
  }

  /** Marks weights with a nonzero clipped gradient below {@code small}. */
  private static void mark(
      Map<String, boolean[]> unsteady, String name, float[] gradient, double scale, double small) {
    boolean[] marked = unsteady.computeIfAbsent(name, _ -> new boolean[gradient.length]);
    for (int i = 0; i < gradient.length; i++) {
      double clipped = Math.abs(gradient[i]) * scale;
      marked[i] |= clipped > 0 && clipped < small;
    }
  }

  /**
   * Compares the final weights. A gradient near AdamW's epsilon moves a weight by an amount that
   * rounding decides, so such weights may differ by as much as all steps can move them.
   *
   * @param most allowed difference of such weights
   */
  private static void compareLast(
      Replay replay, Map<String, float[]> weights, Map<String, boolean[]> unsteady, double most) {
    int loose = 0;
    for (Map.Entry<String, float[]> each : weights.entrySet()) {
      String name = "final." + each.getKey();
      if (!replay.golden().has(name)) {
        continue;
      }
      float[] ours = each.getValue();
      float[] recorded = replay.golden().floats(name);
      boolean[] marked = unsteady.get(each.getKey());
      for (int i = 0; i < Math.min(ours.length, recorded.length); i++) {
        if (marked[i] && Math.abs(ours[i] - recorded[i]) <= most) {
          ours[i] = recorded[i];
          loose++;
        }
      }
      replay.close(name, ours);
    }
    if (loose > 0) {
      replay.note(
          "%d weights of final.* had a clipped gradient below %.0f eps: compared to %.0e",
          loose, SMALL, most);
    }
  }

  private static double rate(GoldenFile golden) {
    return golden.hyper("lr").asDouble();
  }

  private static TrainConfig training(GoldenFile golden) {
    double rate = rate(golden);
    return new TrainConfig(
        new TrainConfig.Schedule(golden.size("input_ids", 0), rate, rate, 0),
        new TrainConfig.Batch(golden.size("input_ids", 1), golden.size("input_ids", 2), 1),
        new AdamW.Settings(
            golden.hyper("betas").get(0).asDouble(),
            golden.hyper("betas").get(1).asDouble(),
            golden.hyper("eps").asDouble(),
            golden.hyper("weight_decay").asDouble(),
            golden.setting("clip_grad_norm").asDouble()),
        DType.FLOAT32,
        false,
        new TrainConfig.Checkpoints(0, 0, 1, Double.MAX_VALUE));
  }

  /** The peer's loss is the mean over the tokens with a next token. */
  private static Objective meanOfPredicted(int length) {
    return (pass, model, batch, _, dloss) -> {
      float share = dloss * length / (length - 1);
      Tensor hidden = batch.hidden(pass, model);
      return Objective.Losses.of(model.head().losses(pass, hidden, batch.targets(), share), null);
    };
  }

  /**
   * The peer's auxiliary loss: tokens of all layers as one batch, not divided by k. It counts the
   * best experts of the softmax, whatever the gate chooses by.
   */
  private static double balance(Backend backend, LanguageModel model, Recorded tokens, int step) {
    MoeConfig moe = (MoeConfig) model.config().blocks().getLast().feedForward();
    boolean sigmoid = moe.gate().score() == GateSettings.Score.SIGMOID;
    int experts = moe.experts();
    int topK = moe.gate().topK();
    double[] chosen = new double[experts];
    double[] probability = new double[experts];
    long[] rows = {0};
    try (TensorScope scope = TensorScope.confined(backend)) {
      Pass pass =
          Pass.inference(backend, scope)
              .observedBy(
                  (_, routes) -> {
                    float[] scores = routes.scores().toFloats();
                    for (int row = 0; row < scores.length; row += experts) {
                      double[] token = new double[experts];
                      for (int e = 0; e < experts; e++) {
                        double score = scores[row + e];
                        token[e] = sigmoid ? score / (1 - score) : score; // exp(logit)
                      }
                      double sum = Arrays.stream(token).sum();
                      double least = Arrays.stream(token).sorted().toArray()[experts - topK];
                      for (int e = 0; e < experts; e++) {
                        probability[e] += token[e] / sum;
                        chosen[e] += token[e] >= least ? 1 : 0;
                      }
                      rows[0]++;
                    }
                  });
      Tensor ids = scope.allocate(DType.INT32, tokens.perStep());
      tokens.fillTraining((long) step * tokens.batch(), ids, null);
      Sequences sequences = Sequences.Whole.of(scope, ids.count(), tokens.length());
      model.forward(pass, ids, sequences, null, false);
    }
    double sum = 0;
    for (int e = 0; e < experts; e++) {
      sum += chosen[e] / rows[0] * probability[e] / rows[0];
    }
    return experts * sum;
  }

  /** Compares tensors of the model where they were recorded. */
  private static void compare(Replay replay, String prefix, Map<String, float[]> tensors) {
    tensors.forEach((name, values) -> replay.closeIfRecorded(prefix + name, values));
  }

  /** Tensors of the model under the peer's names, in its layout. */
  private static Map<String, float[]> peers(
      ReleasedModel released, LanguageModel model, Function<Parameter, Tensor> part) {
    Map<String, RowSource> rows = ModelRows.of(model, _ -> DType.FLOAT32, part);
    Map<String, float[]> named = new LinkedHashMap<>();
    ExportedModel.of("the case", model.config(), rows, released.publishedConfig(), null)
        .tensors()
        .forEach((name, tensor) -> named.put(name, floats(tensor.rows())));
    return named;
  }

  private static float[] floats(RowSource rows) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment elements = arena.allocate(ValueLayout.JAVA_FLOAT, rows.rows() * rows.columns());
      rows.read(0, rows.rows(), 0, rows.columns(), elements);
      return elements.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /**
   * The recorded tokens [steps, B, L].
   *
   * @param batch B
   */
  private record Recorded(long[] ids, int batch, int length) implements TokenSequences {
    static Recorded of(GoldenFile golden) {
      return new Recorded(
          golden.longs("input_ids"), golden.size("input_ids", 1), golden.size("input_ids", 2));
    }

    int perStep() {
      return batch * length;
    }

    @Override
    public Filled fillTraining(long first, Tensor ids, Tensor targets) {
      int from = Math.toIntExact(first * length);
      int count = Math.toIntExact(ids.count());
      int[] held = Arrays.stream(this.ids, from, from + count).mapToInt(Math::toIntExact).toArray();
      ids.set(held);
      if (targets != null) {
        int[] next = new int[count];
        for (int i = 0; i < count; i++) {
          next[i] = (i + 1) % length == 0 ? -1 : held[i + 1];
        }
        targets.set(next);
      }
      return Filled.whole(count, count / length, length);
    }

    @Override
    public Filled fillValidation(long first, Tensor ids, Tensor targets) {
      throw new IllegalStateException("this case has no validation");
    }
  }
}
