package panamoe.op;

import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Router logits to routes. */
public final class GateOp {
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
    record(pass, settings, inputs, routes, auxiliaryCoefficient, zCoefficient);
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
      float auxiliaryCoefficient,
      float zCoefficient) {
    // Counts, offsets and losses are kept: observers may read them, and experts need the offsets.
    pass.record(
        () -> backward(pass, settings, inputs, routes, auxiliaryCoefficient, zCoefficient),
        routes.scores(),
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.choice(),
        inputs.noise(),
        inputs.priority());
  }

  private static void backward(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      Routes routes,
      float auxiliary,
      float z) {
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
            auxiliary,
            z,
            dlogits);
    tape.addGradient(logits, dlogits);
    dweight.owner().release();
  }
}
