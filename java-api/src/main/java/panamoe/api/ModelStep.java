package panamoe.api;

import java.util.List;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;
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
  private final Parameter head; // whose gradient the loss forms; null: it has none
  private final TensorScope scope;
  private final Tape tape;
  private final List<GateStatistics> gates;
  private final Lifetime life;
  // The loss computes the output matrix's gradient in the forward; the backward adds it with the
  // others.
  private final Tensor headGradient;
  private final StepLosses losses;
  private boolean done;

  ModelStep(
      TrainableModel trained, TokenBatch.Given given, StepLosses.Objective objective, long seed) {
    LanguageModel model = trained.weights();
    this.backend = trained.backend();
    this.parameters = trained.parameters();
    this.head = formed(model.head().matrix());
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
      this.headGradient = head == null ? null : scope.zeros(DType.FLOAT32, head.shape());
      if (head != null) {
        tape.watch(head.value(), new Gradient(backend, headGradient));
      }
      this.losses =
          objective.of(new StepLosses.Forward(pass, model, memory, batch, targets, hidden));
      model.parameters().watch(tape);
      this.gates = loads.read();
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
    this.life = trained.lifetime().begin("the step", scope::close);
  }

  /** The parameter whose gradient the loss forms: the output matrix, or B of its adapter. */
  private static Parameter formed(Parameter matrix) {
    if (!matrix.frozen()) {
      return matrix;
    }
    return matrix.adapter() == null ? null : matrix.adapter().b();
  }

  /**
   * The mean cross-entropy of the counted targets over all ranks, or the mean loss of the pairs of
   * {@link TrainableModel#prefer}, in nats, without the load balancing losses.
   */
  public double loss() {
    return losses.loss();
  }

  /**
   * The mean divergence from the teacher over the counted targets, in nats, unweighted; 0 without a
   * teacher, NaN if the teacher's logits have a NaN.
   */
  public double divergence() {
    return losses.divergence();
  }

  /**
   * The mean margin z of the pairs over all ranks (see {@link Preference}); 0 without pairs. More
   * than 0: the model prefers the chosen answers more than its reference does.
   */
  public double margin() {
    return losses.margin();
  }

  /** The share of pairs whose margin is more than 0, over all ranks; 0 without pairs. */
  public double accuracy() {
    return losses.accuracy();
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
                if (head != null) {
                  Tensor sums = head.gradient();
                  backend.add(1, sums, 1, headGradient, sums);
                }
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
