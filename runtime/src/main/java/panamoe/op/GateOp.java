package panamoe.op;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import panamoe.backend.GateKernels;
import panamoe.backend.GateKernels.LossGradients;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.io.Require;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/** Router logits to routes. */
public final class GateOp {
  /** Noise beside which no logit counts. */
  private static final float ABOVE_ALL = 1e30f;

  private GateOp() {}

  /**
   * @param inputs of the gate; only the logits get gradients
   * @param auxiliaryCoefficient derivative of the objective by the auxiliary loss
   * @param zCoefficient derivative of the objective by the z loss
   * @throws NotFinite if the logits of a token are not finite
   */
  public static Routes forward(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      float auxiliaryCoefficient,
      float zCoefficient) {
    Routes routes = choose(pass, settings, inputs);
    record(
        pass,
        settings,
        inputs,
        routes,
        new LossGradients(auxiliaryCoefficient, zCoefficient, null));
    return routes;
  }

  /** The gate's routes without dropping; nothing is recorded. */
  public static Routes unlimited(Pass pass, GateSettings settings, GateKernels.Inputs inputs) {
    Tensor logits = inputs.logits();
    int experts = Math.toIntExact(logits.size(1));
    Routes routes = Routes.allocate(pass.scope(), logits.size(0), experts, settings.topK());
    route(pass, settings.dropless(), inputs, routes);
    return routes;
  }

  /**
   * The inputs by which a gate with {@link GateSettings#byNoise} chooses given experts.
   *
   * @param settings by which rows without given experts choose, dropping apart
   * @param experts as {@link RouteSource#experts} gives them
   * @throws IllegalArgumentException if they are not K for each row, or of another layer
   */
  public static GateKernels.Inputs choosing(
      Pass pass, GateSettings settings, GateKernels.Inputs inputs, int[] experts) {
    Tensor logits = inputs.logits();
    int width = Math.toIntExact(logits.size(1));
    int topK = settings.topK();
    Require.that(
        experts.length == logits.size(0) * topK
            && Arrays.stream(experts).allMatch(expert -> expert < width),
        "the given routes are %s, expected %s for each of %s rows, to experts below %s",
        experts.length,
        topK,
        logits.size(0),
        width);
    boolean all = Arrays.stream(experts).allMatch(expert -> expert >= 0);
    int[] own = all ? experts : unlimited(pass, settings, inputs).choice().toInts();
    Tensor numbers = pass.allocate(DType.FLOAT32, logits.shape());
    HostView noise = HostView.of(numbers);
    noise.memory().fill((byte) 0);
    for (int i = 0; i < experts.length; i++) {
      int k = i % topK;
      int expert = (experts[i - k] < 0 ? own : experts)[i];
      if (expert >= 0) {
        noise
            .memory()
            .setAtIndex(
                ValueLayout.JAVA_FLOAT, (long) (i / topK) * width + expert, (topK - k) * ABOVE_ALL);
      }
    }
    noise.write();
    return new GateKernels.Inputs(logits, inputs.used(), null, numbers, inputs.priority());
  }

  static Routes choose(Pass pass, GateSettings settings, GateKernels.Inputs inputs) {
    Tensor logits = inputs.logits();
    Routes routes =
        pass.observer()
            .tables(pass.scope(), logits.size(0), Math.toIntExact(logits.size(1)), settings.topK());
    route(pass, settings, inputs, routes);
    return routes;
  }

  private static void route(
      Pass pass, GateSettings settings, GateKernels.Inputs inputs, Routes routes) {
    try {
      pass.backend().gateForward(settings, inputs, routes);
    } catch (IllegalArgumentException e) { // of logits: layers check settings and shapes
      throw new NotFinite(e);
    }
  }

  /** Records the backward of {@code routes} on the tape, if there is one. */
  static void record(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      Routes routes,
      LossGradients losses) {
    // Counts, offsets and losses are kept: observers may read them, and experts need the offsets.
    pass.record(
        () -> backward(pass, settings, inputs, routes, losses),
        routes.scores(),
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.choice(),
        inputs.noise(),
        inputs.priority(),
        losses.batch() == null ? null : losses.batch().chosen());
  }

  private static void backward(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      Routes routes,
      LossGradients losses) {
    Tape tape = pass.tape();
    Tensor logits = inputs.logits();
    Tensor dweight = tape.takeGradient(routes.weight());
    if (dweight == null) {
      dweight = pass.scope().zeros(DType.FLOAT32, routes.weight().shape());
    }
    Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
    pass.backend()
        .gateBackward(
            settings,
            new GateKernels.Inputs(logits, inputs.used(), null, null, null),
            routes,
            dweight,
            losses,
            dlogits);
    tape.addGradient(logits, dlogits);
    dweight.owner().release();
  }
}
