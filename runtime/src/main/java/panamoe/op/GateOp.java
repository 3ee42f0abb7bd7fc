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
   * What else the choice depends on; each may be null.
   *
   * @param used UINT8 [S], 0 marks padding
   * @param bias FLOAT32 [E], added to scores for the choice only
   * @param noise FLOAT32 [S, E], added to logits for the choice only
   * @param priority FLOAT32 [S, E], who stays under {@link GateSettings.DropPolicy#PRIORITY}
   */
  public record Inputs(Tensor used, Tensor bias, Tensor noise, Tensor priority) {
    public static final Inputs NONE = new Inputs(null, null, null, null);
  }

  /**
   * @param logits FLOAT32 [S, E]
   * @param auxiliaryCoefficient derivative of the objective by the auxiliary loss
   * @param zCoefficient derivative of the objective by the z loss
   */
  public static Routes forward(
      Pass pass,
      GateSettings settings,
      Tensor logits,
      Inputs inputs,
      float auxiliaryCoefficient,
      float zCoefficient) {
    Routes routes =
        Routes.allocate(
            pass.scope(), logits.size(0), Math.toIntExact(logits.size(1)), settings.topK());
    pass.backend()
        .gateForward(
            settings,
            new GateKernels.Inputs(logits, inputs.used, inputs.bias, inputs.noise, inputs.priority),
            routes);
    if (pass.recording()) {
      // counts, offsets and losses stay: they are small, and what a trainer looks at after the
      // step.
      pass.tape()
          .record(
              () ->
                  backward(
                      pass, settings, logits, inputs, routes, auxiliaryCoefficient, zCoefficient),
              routes.scores(),
              routes.expert(),
              routes.position(),
              routes.weight(),
              routes.choice(),
              inputs.noise,
              inputs.priority);
    }
    return routes;
  }

  private static void backward(
      Pass pass,
      GateSettings settings,
      Tensor logits,
      Inputs inputs,
      Routes routes,
      float auxiliary,
      float z) {
    Tape tape = pass.tape();
    Tensor dweight = tape.takeGradient(routes.weight());
    if (dweight == null) {
      dweight = pass.scope().zeros(DType.FLOAT32, routes.weight().shape());
    }
    Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
    pass.backend()
        .gateBackward(
            settings,
            new GateKernels.Inputs(logits, inputs.used, null, null, null),
            routes,
            dweight,
            auxiliary,
            z,
            dlogits);
    tape.addGradient(logits, dlogits);
    dweight.owner().release();
  }
}
