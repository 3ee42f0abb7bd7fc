package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.comm.Communicator;
import panamoe.data.TokenSequences;
import panamoe.engine.routes.RouteFile;
import panamoe.io.DataException;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.ComputeEvent;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.op.RouteSource;
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
   * @param bytes of the text
   */
  private record Sum(Objective.Losses losses, long bytes) {
    Sum plus(Sum other) {
      return new Sum(losses.plus(other.losses), bytes + other.bytes);
    }

    /** Sums over all data ranks. */
    Sum over(Communicator data) {
      return new Sum(losses.over(data), Math.round(data.allReduce((double) bytes)));
    }

    double bitsPerByte() {
      return losses.nats() / Math.log(2) / bytes;
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
  private RouteFile routes; // null: gates choose
  private long step;
  private double runningLoss = Double.NaN;
  private Best best; // null without patience, or before the first validation

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

  /**
   * Sends the rows of training to the experts that an earlier forward recorded for them; weights
   * and gradients come from the model as it is. A gate's noise is left out. Evaluation is not
   * changed.
   *
   * @param recorded of this model, closed by the caller; it has all texts to come, which {@link
   *     #requireRoutes} checks
   */
  public void replay(RouteFile recorded) {
    routes = recorded;
  }

  /**
   * Checks that a file has the routes of every text that is trained on after {@code step} steps.
   *
   * @throws DataException if it lacks one, or is damaged
   */
  public static void requireRoutes(
      RouteFile recorded, RunConfig config, TokenSequences data, long step) {
    TrainConfig.Batch batch = config.training().batch();
    long wanted = (config.training().schedule().steps() - step) * batch.sequences();
    boolean all = wanted >= data.trainingSequences();
    long first = all ? 0 : step * batch.sequences();
    long end = first + (all ? data.trainingSequences() : wanted);
    try (TensorScope scope = TensorScope.confined(new ReferenceBackend())) {
      Tensor ids = scope.allocate(DType.INT32, batch.length());
      Tensor targets = scope.allocate(DType.INT32, ids.shape());
      for (long number = first; number < end; number++) {
        source(recorded, ids, data.fillTraining(number, ids, targets));
      }
    }
  }

  private static RouteSource source(RouteFile routes, Tensor ids, TokenSequences.Filled filled) {
    return routes == null ? null : routes.of(ids.toInts(), filled.texts(), filled.filler());
  }

  /** The number of steps done. */
  public long step() {
    return step;
  }

  public boolean finished() {
    return state().finishes(config.training());
  }

  /** Whether the latest {@link #validate} gave the best score, and {@code patience} is set. */
  public boolean isBest() {
    return best != null && best.step() == step;
  }

  /** The step with the best score; empty without {@code patience}. */
  public OptionalLong bestStep() {
    return best == null ? OptionalLong.empty() : OptionalLong.of(best.step());
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
    TrainConfig.Batch batch = training.batch();
    long tokens = batch.tokens();
    long counted = data.trainingLosses(step * batch.sequences(), batch.sequences());
    model.parameters().forgetGradients();
    meter.clear();
    Sum sum = new Sum(Objective.Losses.ZERO, 0);
    for (int micro = 0; micro < batch.microBatches(); micro++) {
      sum = sum.plus(accumulate(micro, counted));
    }
    model.parameters().completeGradients();
    double loss = sum.losses.loss() / counted;
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
        asked ? OptionalDouble.of(sum.losses.divergence() / counted) : OptionalDouble.empty(),
        PairMetrics.of(sum.losses.pairs(), counted),
        null);
  }

  /** The score on the validation batches; deterministic. */
  public Validation.Score evaluate() {
    return evaluate(RouteObserver.NONE);
  }

  /** Like {@link #evaluate()}; {@code observer} receives every gate's routes. */
  public Validation.Score evaluate(RouteObserver observer) {
    return Validation.score(
        backend, model, config.training(), data, objective.ofValidation(), step, observer);
  }

  /** Evaluates the model after a step; {@code patience} counts it. */
  public Validation.Score validate() {
    Validation.Score score = evaluate();
    if (patience() != null) {
      best = best == null ? Best.first(score, step) : best.after(score, step);
    }
    return score;
  }

  private Integer patience() {
    return config.training().checkpoints().patience();
  }

  /**
   * Runs one micro-batch: forward, then backward, which adds to the gradients.
   *
   * @param counted losses of the step
   */
  private Sum accumulate(int micro, long counted) {
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
      TokenSequences.Filled filled = data.fillTraining(first, ids, targets);
      Sequences.Whole sequences = Sequences.Whole.packed(scope, batch.length(), filled.texts());
      boolean recompute = config.training().recompute();
      Objective.Batch given =
          new Objective.Batch(first, ids, sequences, targets, filled.used(scope), recompute);
      Pass routed = pass.routedBy(source(routes, ids, filled));
      Sum sum = new Sum(losses(routed, given, 1f / counted), filled.bytes()).over(ranks.data());
      double loss = sum.losses.loss();
      if (!Double.isFinite(loss) || !Double.isFinite(sum.losses.nats())) {
        throw new TrainingFailure(
            "step " + (step + 1) + ": the loss is " + loss + "; " + badLayerOfAnyRank());
      }
      if (!Double.isFinite(sum.losses.divergence())) {
        throw new TrainingFailure("step " + (step + 1) + ": " + BAD_TEACHER);
      }
      tape.backward();
      return sum;
    }
  }

  private Objective.Losses losses(Pass pass, Objective.Batch batch, float dloss) {
    try {
      return objective.losses(pass, model, batch, step, dloss);
    } catch (IllegalArgumentException e) {
      // A gate throws on a NaN logit before any other check, only on the ranks that have one.
      int layer = model.firstNonFiniteLayer(backend);
      String bad = layer < 0 ? BAD_TEACHER : badLayer(ranks.world().rank(), layer);
      Throwable refusal = e.getCause() == null ? e : e.getCause();
      throw new TrainingFailure(
          "step " + (step + 1) + ": " + bad + " (" + refusal.getMessage() + ")", e);
    }
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
              "step %d: the loss jumped to %.4f from a running mean of %.4f (more than spike ="
                  + " %s)%s",
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
    String bad = model.parameters().firstBad(backend);
    return where
        + "layer "
        + layer
        + " is the first whose output is not finite"
        + (bad.isEmpty() ? "" : ", and " + bad + " has such a number");
  }

  Backend backend() {
    return backend;
  }

  /** The state to save in addition to tensors. */
  TrainerState state() {
    return new TrainerState(step, runningLoss, best);
  }

  /** Continues after {@code state}. Restore parameters and moments first. */
  void restore(TrainerState state) {
    step = state.step();
    runningLoss = state.runningLoss();
    best = state.best();
    model.parameters().refresh(backend);
  }

  AdamW optimizer() {
    return optimizer;
  }
}
