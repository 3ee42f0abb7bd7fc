package panamoe.api;

import java.util.List;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;
import panamoe.op.DistillationOp;
import panamoe.op.Gradient;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** One training forward of a {@link TrainableModel} and its backward. */
public final class ModelStep implements AutoCloseable {
  private final Backend backend;
  private final Parameters parameters;
  private final Parameter head;
  private final TensorScope scope;
  private final Tape tape;
  private final List<GateStatistics> gates;
  private final Lifetime life;
  // The loss computes the output matrix's gradient in the forward; the backward adds it with the
  // others.
  private final Tensor headGradient;
  private final double loss;
  private final double divergence;
  private boolean done;

  /**
   * @param teacher null for none
   */
  ModelStep(TrainableModel trained, TokenBatch.Given given, Teacher teacher, long seed) {
    LanguageModel model = trained.weights();
    this.backend = trained.backend();
    this.parameters = trained.parameters();
    this.head = model.head().matrix();
    this.scope = TensorScope.shared(backend);
    this.tape = new Tape(backend);
    try {
      CallersMemory memory = new CallersMemory(backend, scope);
      TokenBatch batch = new TokenBatch(model, memory, given, true);
      TokenBatch.Targets targets = batch.targets();
      GateLoads loads = new GateLoads();
      Pass pass =
          Pass.training(backend, scope, tape, seed, 1)
              .partOf(model.parameters().ranks().data())
              .observedBy(loads);
      model.parameters().watch(tape);
      Tensor hidden = batch.hidden(pass);
      this.headGradient = scope.allocate(DType.FLOAT32, head.shape());
      backend.fill(0, headGradient);
      tape.watch(head.value(), new Gradient(backend, headGradient));
      float dloss = (float) (1 / targets.counted());
      if (teacher == null) {
        this.loss = targets.loss(model.head().losses(pass, hidden, targets.ids(), dloss));
        this.divergence = 0;
      } else {
        int classes = model.config().vocabulary();
        Tensor logits =
            memory.input("the teacher's logits", teacher.logits(), batch.tokens(), classes);
        DistillationOp.Losses losses =
            model
                .head()
                .losses(
                    pass,
                    hidden,
                    new DistillationOp.Teacher(
                        (float) teacher.temperature(), teacher.weight(), logits, null),
                    targets.ids(),
                    dloss);
        this.loss = targets.loss(losses.crossEntropies());
        this.divergence = targets.mean(losses.divergences());
      }
      model.parameters().watch(tape);
      this.gates = loads.read();
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
    this.life = trained.lifetime().begin("the step", scope::close);
  }

  /**
   * The mean cross-entropy of the counted targets over all ranks, in nats, without the load
   * balancing losses.
   */
  public double loss() {
    return loss;
  }

  /**
   * The mean divergence from the teacher over the counted targets, in nats, unweighted; 0 without a
   * teacher, NaN if the teacher's logits have a NaN.
   */
  public double divergence() {
    return divergence;
  }

  /** The gates' statistics, one for each MoE layer, in order. */
  public List<GateStatistics> gates() {
    return gates;
  }

  /**
   * The sum of the MoE layers' load balancing losses before their coefficient; 1 per layer is
   * perfect balance. The backward includes its gradient.
   */
  public double auxiliaryLoss() {
    return gates.stream().mapToDouble(GateStatistics::auxiliaryLoss).sum();
  }

  /**
   * Adds the gradients of {@code loss() + alpha T^2 divergence() + auxiliaryCoefficient *
   * auxiliaryLoss()} to the parameters' gradients. A backward that fails uses up the step, and
   * further ones are refused until {@link Parameters#zeroGradients}.
   *
   * @throws IllegalStateException at a second call
   */
  public void backward() {
    life.run(
        () -> {
          if (done) {
            throw new IllegalStateException("backward was already called on this step");
          }
          parameters.addGradients(
              () -> {
                done = true;
                Tensor sums = head.gradient();
                backend.add(1, sums, 1, headGradient, sums);
                tape.backward();
                backend.synchronize();
              });
        });
  }

  /** Frees the activations. Idempotent; throws like {@link TrainableModel#close}. */
  @Override
  public void close() {
    life.close();
  }
}
