package panamoe.train;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/**
 * Balances the experts without a loss (arXiv 2408.15664): after a step, the correction bias of an
 * expert rises by the gate's {@code loss.biasRate} if the expert got fewer routes than the mean of
 * its layer, and falls by it if it got more. The host updates the E numbers of a layer, once per
 * step: it already has the loads, summed over the ranks. AdamW does not change the bias, because
 * its gradient is 0.
 */
final class BiasBalancing {
  private record Bias(Parameter parameter, float rate) {}

  private final Map<Integer, Bias> byLayer = new HashMap<>();

  BiasBalancing(LanguageModel model) {
    Map<String, Parameter> parameters = new HashMap<>();
    model.parameters().parameters().forEach(each -> parameters.put(each.name(), each));
    for (int layer = 0; layer < model.config().layers(); layer++) {
      if (model.config().blocks().get(layer).feedForward() instanceof MoeConfig moe
          && moe.gate().loss().biasRate() != null
          && moe.gate().loss().biasRate() > 0) {
        Parameter bias = parameters.get("layers." + layer + ".moe.gate.correction");
        byLayer.put(layer, new Bias(bias, moe.gate().loss().biasRate().floatValue()));
      }
    }
  }

  /**
   * Updates the biases; all ranks get the same bits.
   *
   * @param loads of the step, over all micro-batches and ranks
   */
  void update(List<LayerLoad> loads) {
    for (LayerLoad load : loads) {
      Bias bias = byLayer.get(load.layer());
      if (bias != null && !bias.parameter.frozen()) {
        update(bias.parameter.master(), bias.rate, load);
      }
    }
  }

  private static void update(Tensor bias, float rate, LayerLoad load) {
    float[] moved = bias.toFloats();
    for (int e = 0; e < load.experts(); e++) {
      int below = Long.signum(load.routes() - load.experts() * load.counts()[e]);
      moved[e] += rate * below;
    }
    bias.set(moved);
  }
}
