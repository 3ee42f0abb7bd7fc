package panamoe.api;

import java.lang.foreign.MemorySegment;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** One training forward of a {@link MoeLayer} and its backward. */
public final class LayerStep implements AutoCloseable {
  private final Backend backend;
  private final Parameters parameters;
  private final TensorScope scope;
  private final CallersMemory memory;
  private final Tape tape;
  private final MemorySegment x;
  private final MoeLayer.Computed computed;
  private final GateStatistics gate;
  private final Lifetime life;
  private boolean done;

  LayerStep(MoeLayer layer, MoeLayer.Rows rows, long seed) {
    this.backend = layer.device().backend();
    this.parameters = layer.parameters();
    this.scope = TensorScope.shared(backend);
    this.memory = new CallersMemory(backend, scope);
    this.tape = new Tape(backend);
    this.x = rows.x();
    try {
      parameters.requireApartFromGradients("x", Argument.notNull("x", x));
      ParameterStore store = parameters.store();
      store.watch(tape);
      GateLoads loads = new GateLoads();
      Pass pass =
          Pass.training(backend, scope, tape, seed, 1)
              .partOf(store.ranks().data())
              .observedBy(loads);
      this.computed = layer.compute(pass, memory, rows);
      this.gate = loads.read().get(0);
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
    this.life = layer.lifetime().begin("the step", scope::close);
  }

  /** The gate's statistics. The backward includes the gradients of its losses. */
  public GateStatistics gate() {
    return gate;
  }

  /**
   * Adds to the parameters' gradients and writes the input's gradient. A refused argument leaves
   * the step usable. A backward that fails later uses up the step, and further backwards are
   * refused until {@link Parameters#zeroGradients}.
   *
   * @param dy [tokens, hidden], gradient of the output; must not overlap a parameter's gradient
   * @param dx [tokens, hidden], receives the gradient of x; must overlap neither dy nor x
   * @throws PanamoeException.BadArgument if a segment is null, on the heap, too small, misaligned,
   *     confined to another thread, or read-only but an output, or if dx overlaps another segment,
   *     or dy a parameter's gradient
   * @throws IllegalStateException at a second call, or if the arena of x, dy or dx is closed
   */
  public void backward(MemorySegment dy, MemorySegment dx) {
    life.run(
        () -> {
          if (done) {
            throw new IllegalStateException("backward was already called on this step");
          }
          Tensor input = computed.input();
          Tensor output = computed.output();
          CallersMemory.requireAlive("x", x);
          Tensor outputGradient = memory.input("dy", output.dtype(), dy, output.shape());
          Tensor inputGradient = memory.output("dx", input.dtype(), dx, input.shape());
          CallersMemory.requireApart("dx", dx, "dy", dy);
          CallersMemory.requireApart("dx", dx, "x", x);
          parameters.requireApart("dx", dx);
          parameters.requireApartFromGradients("dy", dy);
          parameters.addGradients(
              () -> {
                done = true;
                tape.addGradient(input, inputGradient);
                tape.addGradient(output, outputGradient);
                memory.compute(
                    () -> {
                      backend.fill(0, inputGradient);
                      tape.backward();
                    });
              });
          memory.giveBack("dx", inputGradient, dx);
        });
  }

  /** Frees the memory kept for the backward. Idempotent; throws like {@link MoeLayer#close}. */
  @Override
  public void close() {
    life.close();
  }
}
