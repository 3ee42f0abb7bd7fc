package panamoe.lab.conformance.replay;

import java.util.function.Function;
import panamoe.backend.Activation;
import panamoe.backend.GateKernels;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.moe.MoeLayer;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.parallel.Ranks;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A layer of the runtime with a peer's recorded weights.
 *
 * @param <L> the layer: {@link MoeLayer}, or another that declares its parameters
 */
public final class BlockReplay<L> implements RouteObserver, AutoCloseable {
  private static final String NAME = "block";

  private final Replay replay;
  private final WeightMap weights;
  private final ParameterStore store;
  private final L layer;
  private RouteTable routes;
  private float[] weightGradient;

  /** The layer that {@code declare} makes. */
  public BlockReplay(Replay replay, WeightMap weights, Function<Declarations, L> declare) {
    this(replay, Ranks.alone(), weights, declare);
  }

  private BlockReplay(
      Replay replay, Ranks ranks, WeightMap weights, Function<Declarations, L> declare) {
    this.replay = replay;
    this.weights = weights;
    this.store = new ParameterStore(ranks);
    try {
      this.layer = declare.apply(Declarations.of(store, 1, NAME));
      store.materialize(replay.backend(), DType.FLOAT32, true, 0);
      store.parameters().forEach(each -> weights.load(replay.golden(), nameOf(each), each));
    } catch (RuntimeException e) {
      store.close();
      throw e;
    }
  }

  /** A {@code MoeLayer} as wide as the recorded x. */
  public static BlockReplay<MoeLayer> of(Replay replay, MoeConfig config, WeightMap weights) {
    return of(replay, Ranks.alone(), config, weights);
  }

  /** One rank's part of the layer. */
  public static BlockReplay<MoeLayer> of(
      Replay replay, Ranks ranks, MoeConfig config, WeightMap weights) {
    int hidden = replay.golden().size("x", -1);
    return new BlockReplay<>(replay, ranks, weights, at -> new MoeLayer(at, 0, hidden, config));
  }

  public L layer() {
    return layer;
  }

  /** The replay's pass, on whose tape these parameters are. */
  public Pass pass() {
    store.watch(replay.pass().tape());
    return replay.pass().observedBy(this);
  }

  @Override
  public void observe(int index, Routes decided) {
    routes = RouteTable.of(decided);
    // On the tape after the gate and before dispatch: it runs when the gradient is complete.
    replay.pass().tape().record(() -> weightGradient = replay.gradientOf(decided.weight()));
  }

  /** The last routes of the layer's gate. */
  public RouteTable routes() {
    return routes;
  }

  /** The gradient that reached the weights of its routes [S, K]. */
  public float[] weightGradient() {
    return weightGradient;
  }

  /** The router's logits [S, E]; the layer itself keeps only the scores. */
  public Tensor logits(Tensor x) {
    return LinearOp.forward(
        inference(), x, value("gate.weight"), value("gate.bias"), Activation.IDENTITY);
  }

  /** The routes of a gate with other rules and the same router. */
  public RouteTable decide(GateConfig gate, Tensor x) {
    Tensor logits = logits(x);
    return RouteTable.of(
        GateOp.forward(
            inference(),
            gate.settings(logits.size(0), (int) logits.size(1), true),
            GateKernels.Inputs.of(logits),
            0,
            0));
  }

  private Pass inference() {
    return Pass.inference(replay.backend(), replay.scope());
  }

  /** The values of a parameter; null if the layer has no parameter of this name. */
  private Tensor value(String name) {
    return store.parameters().stream()
        .filter(each -> nameOf(each).equals(name))
        .findFirst()
        .map(Parameter::value)
        .orElse(null);
  }

  /** Compares the layer's output, runs the backward, and compares all gradients. */
  public void compare(Tensor x, Tensor out) {
    replay.close("out", out.toFloats());
    replay.backward(out, replay.golden().floats("upstream"));
    replay.close("grad_x", replay.gradientOf(x));
    compareGradients();
  }

  /** Compares the gradients of all weights, after the backward. */
  public void compareGradients() {
    store.parameters().forEach(each -> weights.compareGradient(replay, nameOf(each), each));
  }

  private static String nameOf(Parameter parameter) {
    return parameter.name().substring(NAME.length() + 1);
  }

  @Override
  public void close() {
    store.close();
  }
}
