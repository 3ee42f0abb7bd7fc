package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.OptionalDouble;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.data.TokenSequences;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.ComputeEvent;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.op.Tape;
import panamoe.parallel.Ranks;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Trains a language model step by step. Step n depends only on the configuration, the seed, the
 * data and the state after step n - 1, so a run resumed from a checkpoint continues bit for bit.
 * Used by one thread.
 *
 * <p>With several ranks, each has a trainer and all methods are collective. The configured batch is
 * the total: every data rank takes its part of each micro-batch. The topology changes only
 * rounding.
 */
public final class Trainer {
  /** Weight of the latest loss in the running mean that detects spikes. */
  private static final double SPIKE_MEMORY = 0.05;

  /** Steps before spikes are detected, because the running mean is not meaningful earlier. */
  private static final int SPIKE_FIRST_STEP = 50;

  private static final String BAD_TEACHER = "the teacher's logits are not finite numbers";

  /**
   * @param nats summed cross-entropy
   * @param divergence summed KL(teacher || model); 0 without a teacher
   * @param bytes of the text
   */
  private record Sum(double nats, double divergence, long bytes) {
    static final Sum ZERO = new Sum(0, 0, 0);

    Sum plus(Sum other) {
      return new Sum(nats + other.nats, divergence + other.divergence, bytes + other.bytes);
    }

    /** Sums over all data ranks. */
    Sum over(Communicator data) {
      return new Sum(
          data.allReduce(nats),
          data.allReduce(divergence),
          Math.round(data.allReduce((double) bytes)));
    }

    double bitsPerByte() {
      return nats / Math.log(2) / bytes;
    }
  }

  private final Backend backend;
  private final LanguageModel model;
  private final Ranks ranks;
  private final RunConfig config;
  private final TokenSequences data;
  private final Objective objective;
  private final Tape gradients;
  private final AdamW optimizer;
  private final BiasBalancing balancing;
  private final LoadMeter meter;
  private long step;
  private double runningLoss = Double.NaN;

  /** A trainer that minimises the next token's cross-entropy. */
  public Trainer(Backend backend, LanguageModel model, RunConfig config, TokenSequences data) {
    this(backend, model, config, data, Objective.LANGUAGE_MODELLING);
  }

  /**
   * @param model materialized for training on {@code backend}
   * @param objective closed by the caller
   * @throws IllegalArgumentException if the batch does not divide among the ranks, or the data's
   *     sequences have another length
   */
  public Trainer(
      Backend backend,
      LanguageModel model,
      RunConfig config,
      TokenSequences data,
      Objective objective) {
    this.backend = backend;
    this.model = model;
    this.ranks = model.parameters().ranks();
    this.config = config;
    this.data = data;
    this.objective = objective;
    ParameterStore store = model.parameters();
    this.gradients = new Tape(backend);
    store.watch(gradients);
    this.optimizer = new AdamW(backend, config.training().adamW(), store, store.scope());
    this.balancing = new BiasBalancing(model);
    this.meter = new LoadMeter(backend);
    config.requireFits(ranks.topology());
    Require.that(
        data.length() == config.training().batch().length(),
        "the data has sequences of %s tokens, the config asks for %s",
        data.length(),
        config.training().batch().length());
  }

  /** The number of steps done. */
  public long step() {
    return step;
  }

  public boolean finished() {
    return step >= config.training().schedule().steps();
  }

  public LanguageModel model() {
    return model;
  }

  public RunConfig config() {
    return config;
  }

  /**
   * Runs one optimizer step.
   *
   * @throws TrainingFailure if the loss or a gradient is not finite, or the loss jumped; the
   *     parameters stay as they were before the step
   */
  public StepMetrics next() {
    long start = System.nanoTime();
    TrainConfig training = config.training();
    long tokens = training.batch().tokens();
    model.parameters().forgetGradients();
    meter.clear();
    Sum sum = Sum.ZERO;
    for (int micro = 0; micro < training.batch().microBatches(); micro++) {
      sum = sum.plus(accumulate(micro));
    }
    model.parameters().completeGradients();
    double loss = sum.nats / tokens;
    ComputeEvent.around(backend, "sum of gradients", optimizer::sumGradients);
    double norm = optimizer.norm();
    requireHealthy(loss, norm);
    double rate = training.learningRate(step);
    ComputeEvent.around(backend, "optimizer", () -> optimizer.step(step, rate, norm));
    List<LayerLoad> loads = meter.take(ranks.data());
    balancing.update(loads);
    boolean asked = config.asksTeacher(step);
    step++;
    runningLoss =
        Double.isNaN(runningLoss) ? loss : runningLoss + SPIKE_MEMORY * (loss - runningLoss);
    double seconds = (System.nanoTime() - start) / 1e9;
    return new StepMetrics(
        step,
        step * tokens,
        loss,
        sum.bitsPerByte(),
        norm,
        rate,
        seconds,
        tokens / seconds,
        loads,
        asked ? OptionalDouble.of(sum.divergence / tokens) : OptionalDouble.empty(),
        OptionalDouble.empty());
  }

  /** Bits per byte over the validation batches; deterministic. */
  public double evaluate() {
    return evaluate(RouteObserver.NONE);
  }

  /** Like {@link #evaluate()}; {@code observer} receives every gate's routes. */
  public double evaluate(RouteObserver observer) {
    return Validation.bitsPerByte(backend, model, config.training(), data, observer);
  }

  /** Runs one micro-batch: forward, then backward, which adds to the gradients. */
  private Sum accumulate(int micro) {
    TrainConfig.Batch batch = config.training().batch();
    long mine = batch.microSequences() / ranks.data().size(); // sequences of this rank
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tape tape = gradients.fork();
      long seed = config.seed() * 0x9E3779B97F4A7C15L + step * batch.microBatches() + micro;
      Pass pass =
          Pass.training(backend, scope, tape, seed, 1f / batch.microBatches())
              .partOf(ranks.data())
              .observedBy(meter);
      Tensor ids = scope.allocate(DType.INT32, mine * batch.length());
      Tensor targets = scope.allocate(DType.INT32, ids.shape());
      long first =
          step * batch.sequences()
              + (long) micro * batch.microSequences()
              + mine * ranks.data().rank();
      long bytes = data.fillTraining(first, ids, targets);
      Sequences sequences = Sequences.Whole.of(scope, ids.count(), batch.length());
      Objective.Losses losses = losses(pass, new Objective.Batch(first, ids, sequences, targets));
      double divergence = losses.divergence() == null ? 0 : losses.divergence().sum();
      Sum sum = new Sum(losses.crossEntropy().sum(), divergence, bytes).over(ranks.data());
      if (!Double.isFinite(sum.nats)) {
        throw new TrainingFailure(
            "step " + (step + 1) + ": the loss is " + sum.nats + "; " + badLayerOfAnyRank());
      }
      if (!Double.isFinite(sum.divergence)) {
        throw new TrainingFailure("step " + (step + 1) + ": " + BAD_TEACHER);
      }
      tape.backward();
      return sum;
    }
  }

  private Objective.Losses losses(Pass pass, Objective.Batch batch) {
    try {
      Tensor hidden = hidden(pass, batch.ids(), batch.sequences());
      float dloss = 1f / config.training().batch().tokens();
      return objective.losses(pass, model, hidden, batch, step, dloss);
    } catch (IllegalArgumentException e) {
      // A gate throws on a NaN logit before any other check, only on the ranks that have one.
      int layer = model.firstNonFiniteLayer(backend);
      String bad = layer < 0 ? BAD_TEACHER : badLayer(ranks.world().rank(), layer);
      Throwable refusal = e.getCause() == null ? e : e.getCause();
      throw new TrainingFailure(
          "step " + (step + 1) + ": " + bad + " (" + refusal.getMessage() + ")", e);
    }
  }

  private Tensor hidden(Pass pass, Tensor ids, Sequences sequences) {
    return model.forward(pass, ids, sequences, null, config.training().recompute());
  }

  private void requireHealthy(double loss, double norm) {
    if (!Double.isFinite(norm)) {
      String name = firstBadGradient();
      throw new TrainingFailure(
          "step " + (step + 1) + ": the gradient of " + name + " has no finite norm");
    }
    double spike = config.training().checkpoints().spike();
    if (step >= SPIKE_FIRST_STEP && loss > runningLoss + spike) {
      throw new TrainingFailure(
          Words.of(
              "step %d: the loss jumped to %.4f from a running mean of %.4f (more than spike = %s)%s",
              step + 1, loss, runningLoss, spike, optimizer.norms().growth()));
    }
  }

  /** The name of a non-finite parameter, from the first rank that has one. Collective. */
  private String firstBadGradient() {
    String name = optimizer.norms().firstBad();
    long[] knows = ranks.world().allGather(name.isEmpty() ? 0 : 1);
    int rank = 0;
    while (knows[rank] == 0) {
      rank++; // some rank has one: finite float32 norms have a finite sum in double
    }
    return new String(ranks.world().broadcast(name.getBytes(UTF_8), rank), UTF_8);
  }

  /**
   * The name of the first non-finite layer, equal on all ranks. Collective, after a non-finite
   * value on any rank.
   */
  private String badLayerOfAnyRank() {
    long[] layers = ranks.world().allGather(model.firstNonFiniteLayer(backend));
    int first = -1;
    for (int rank = 0; rank < layers.length; rank++) {
      if (layers[rank] >= 0 && (first < 0 || layers[rank] < layers[first])) {
        first = rank;
      }
    }
    return first < 0 ? "no layer's output is to blame" : badLayer(first, layers[first]);
  }

  private String badLayer(int rank, long layer) {
    String where = ranks.world().size() == 1 ? "" : "on rank " + rank + ", ";
    return where + "layer " + layer + " is the first whose output is not finite";
  }

  Backend backend() {
    return backend;
  }

  /** The state to save in addition to tensors. */
  TrainerState state() {
    return new TrainerState(step, runningLoss);
  }

  /** Continues after {@code state}. Restore parameters and moments first. */
  void restore(TrainerState state) {
    step = state.step();
    runningLoss = state.runningLoss();
    model.parameters().refresh(backend);
  }

  AdamW optimizer() {
    return optimizer;
  }
}
