package panamoe.edit;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.ModelTensors;
import panamoe.tensor.Tensor;

/** Models of width 4 with distinguishable tensors. */
final class TinyModel {
  static final int HIDDEN = 4;

  private TinyModel() {}

  /** With biases, and a fixed MLP in MoE layers. */
  static ModelConfig of(GateConfig gate, Integer... experts) {
    return new UniformModel(
            11,
            8,
            HIDDEN,
            new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                6, Activation.GELU_TANH, List.of(experts), gate != null, gate),
            NormConfig.Kind.LAYER,
            true,
            0.3)
        .toConfig();
  }

  /** A gate with a router bias and a correction, that chooses within the better of some groups. */
  static GateConfig groupedGate(int groups) {
    return new GateConfig(
        1,
        true,
        Score.SIGMOID,
        new GateConfig.Choice(groups, 1, GroupScore.MAXIMUM, true, GateConfig.Noise.NONE),
        GateConfig.RouteWeight.of(Normalization.RAW),
        GateConfig.Capacity.DROPLESS,
        new GateConfig.Loss(true, 0.01, 0));
  }

  /** Tensors of a model: element i of the n-th tensor is 1000 n + i. */
  static Edit.Source numbered(ModelConfig model) {
    Map<String, float[]> tensors = new LinkedHashMap<>();
    ModelTensors.shapes(model)
        .forEach(
            (name, shape) -> {
              float[] values = new float[(int) Tensor.count(shape)];
              for (int i = 0; i < values.length; i++) {
                values[i] = 1000 * tensors.size() + i;
              }
              tensors.put(name, values);
            });
    return name -> tensors.get(name).clone();
  }

  /** {@link #numbered} with another router in a layer. */
  static Edit.Source with(Edit.Source source, int layer, float... router) {
    String name = "layers." + layer + ".moe.gate.weight";
    return read -> read.equals(name) ? router.clone() : source.read(read);
  }

  static float[] row(float[] values, int row, int rows) {
    int size = values.length / rows;
    return Arrays.copyOfRange(values, row * size, (row + 1) * size);
  }
}
