package panamoe.train;

import java.util.List;
import java.util.OptionalDouble;
import panamoe.backend.Backend;
import panamoe.data.TrainingData;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.op.Tape;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Trains a language model step by step. What step n does depends on the configuration, the seed, the data and the state
 * after step n - 1 alone, so that a run resumed from a checkpoint continues bit for bit. Used by one thread.
 */
public final class Trainer {
  /** Share of the latest loss in the running mean that a spike is measured against. */
  private static final double SPIKE_MEMORY = 0.05;

  /** Steps before the running mean means something. */
  private static final int SPIKE_FIRST_STEP = 50;

  private final Backend backend;
  private final LanguageModel model;
  private final RunConfig config;
  private final TrainingData data;
  private final AdamW optimizer;
  private final LoadMeter meter = new LoadMeter();
  private final int[] ids;
  private final int[] targets;
  private long step;
  private double runningLoss = Double.NaN;

  /** @param model materialized for training on {@code backend} */
  public Trainer(Backend backend, LanguageModel model, RunConfig config, TrainingData data) {
    this.backend = backend;
    this.model = model;
    this.config = config;
    this.data = data;
    this.optimizer = new AdamW(backend, config.training(), model.parameters());
    int tokens = Math.toIntExact(config.training().tokensPerStep());
    this.ids = new int[tokens];
    this.targets = new int[tokens];
  }

  /** Steps done. */
  public long step() {
    return step;
  }

  public boolean finished() {
    return step >= config.training().steps();
  }

  public LanguageModel model() {
    return model;
  }

  public RunConfig config() {
    return config;
  }

  /**
   * One optimizer step.
   *
   * @throws TrainingFailure if the loss or a gradient is not finite, or the loss jumped; the parameters are then those
   *     of the step before
   */
  public StepMetrics next() {
    long start = System.nanoTime();
    TrainConfig training = config.training();
    data.batch(step, ids, targets);
    model.parameters().zeroGradients(backend);
    meter.take();
    double nats = 0;
    int microBatches = training.microBatches();
    int rows = ids.length / microBatches;
    for (int micro = 0; micro < microBatches; micro++) {
      nats += accumulate(micro, micro * rows, rows);
    }
    double loss = nats / ids.length;
    requireHealthy(loss);
    double norm = optimizer.gradientNorm();
    if (!Double.isFinite(norm)) {
      throw new TrainingFailure("step " + (step + 1) + ": the gradient of " + firstBadGradient() + " is not finite");
    }
    optimizer.step(step, norm);
    double rate = training.learningRate(step);
    step++;
    runningLoss = Double.isNaN(runningLoss) ? loss : runningLoss + SPIKE_MEMORY * (loss - runningLoss);
    double seconds = (System.nanoTime() - start) / 1e9;
    return new StepMetrics(
        step,
        step * training.tokensPerStep(),
        loss,
        bitsPerByte(nats, targets),
        norm,
        rate,
        seconds,
        training.tokensPerStep() / seconds,
        meter.take(),
        OptionalDouble.empty());
  }

  /** Bits per byte over the validation batches, deterministic. */
  public double evaluate() {
    return evaluate(RouteObserver.NONE);
  }

  /** As {@link #evaluate()}, telling {@code observer} of every gate's decision. */
  public double evaluate(RouteObserver observer) {
    double nats = 0;
    double bytes = 0;
    for (int batch = 0; batch < config.training().validationBatches(); batch++) {
      data.validationBatch(batch, ids, targets);
      int rows = ids.length / config.training().microBatches();
      for (int from = 0; from < ids.length; from += rows) {
        try (TensorScope scope = TensorScope.confined(backend)) {
          Pass pass = Pass.inference(backend, scope).observedBy(observer);
          Tensor hidden = hidden(pass, from, rows);
          nats += sum(model.losses(pass, hidden, slice(scope, targets, from, rows), 0));
        }
      }
      bytes += data.bytes(targets);
    }
    return nats / Math.log(2) / bytes;
  }

  /** One micro-batch: forward, backward into the gradients; returns the sum of its token losses. */
  private double accumulate(int micro, int from, int rows) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tape tape = new Tape(backend);
      model.parameters().watch(tape);
      long seed = config.seed() * 0x9E3779B97F4A7C15L + step * config.training().microBatches() + micro;
      Pass pass = Pass.training(backend, scope, tape, seed, 1f / config.training().microBatches()).observedBy(meter);
      Tensor hidden = hidden(pass, from, rows);
      Tensor losses = model.losses(pass, hidden, slice(scope, targets, from, rows), 1f / ids.length);
      tape.backward();
      return sum(losses);
    } catch (IllegalArgumentException e) {
      // A gate refuses a NaN logit before anything else notices it.
      throw new TrainingFailure("step " + (step + 1) + ": " + firstBadLayer(from, rows) + " (" + e.getMessage() + ")", e);
    }
  }

  private Tensor hidden(Pass pass, int from, int rows) {
    Tensor part = slice(pass.scope(), ids, from, rows);
    return model.forward(pass, part, sequences(pass.scope(), rows), null, config.training().recompute());
  }

  private Sequences sequences(TensorScope scope, int rows) {
    int length = config.training().sequence();
    Tensor positions = scope.allocate(DType.INT32, rows);
    for (int i = 0; i < rows; i++) {
      positions.setInt(i, i % length);
    }
    return new Sequences.Whole(rows / length, length, positions);
  }

  private static Tensor slice(TensorScope scope, int[] values, int from, int rows) {
    int[] part = new int[rows];
    System.arraycopy(values, from, part, 0, rows);
    return scope.allocate(DType.INT32, rows).set(part);
  }

  private double sum(Tensor losses) {
    backend.synchronize();
    double sum = 0;
    for (float loss : losses.toFloats()) {
      sum += loss;
    }
    return sum;
  }

  private double bitsPerByte(double nats, int[] tokens) {
    return nats / Math.log(2) / data.bytes(tokens);
  }

  private void requireHealthy(double loss) {
    if (!Double.isFinite(loss)) {
      throw new TrainingFailure(
          "step " + (step + 1) + ": the loss is " + loss + "; " + firstBadLayer(0, ids.length / config.training().microBatches()));
    }
    if (step >= SPIKE_FIRST_STEP && loss > runningLoss + config.training().spike()) {
      throw new TrainingFailure(
          "step %d: the loss jumped to %.4f from a running mean of %.4f (more than spike = %s)"
              .formatted(step + 1, loss, runningLoss, config.training().spike()));
    }
  }

  private String firstBadGradient() {
    for (AdamW.Moments each : optimizer.moments()) {
      for (float value : each.parameter().gradient().toFloats()) {
        if (!Float.isFinite(value)) {
          return each.parameter().name();
        }
      }
    }
    return "the whole model together";
  }

  /** Runs the forward again, layer by layer, to say where the first bad number stands. */
  private String firstBadLayer(int from, int rows) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      int layer =
          model.firstNonFiniteLayer(
              Pass.inference(backend, scope), slice(scope, ids, from, rows), sequences(scope, rows));
      return layer < 0 ? "no layer's output is to blame" : "layer " + layer + " is the first whose output is not finite";
    }
  }

  /** What a checkpoint must hold besides tensors. */
  TrainerState state() {
    return new TrainerState(step, runningLoss);
  }

  /** Continues after {@code state}; parameters and moments were restored before. */
  void restore(TrainerState state) {
    step = state.step();
    runningLoss = state.runningLoss();
    model.parameters().refresh(backend);
  }

  List<AdamW.Moments> moments() {
    return optimizer.moments();
  }
}
