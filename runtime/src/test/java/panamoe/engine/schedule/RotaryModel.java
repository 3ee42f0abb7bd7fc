package panamoe.engine.schedule;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;

/** A small byte-level model for the engine's tests: hidden 32, four heads, rotary positions. */
public final class RotaryModel {
  private RotaryModel() {}

  /**
   * @param experts of each layer; 0 for a dense one
   */
  public static ModelConfig of(
      int context, int keyValueHeads, List<Integer> experts, GateConfig gate) {
    return new UniformModel(
            new ByteTokenizer().vocabularySize(),
            context,
            32,
            new UniformModel.Attention(4, keyValueHeads, UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(48, Activation.GELU_TANH, experts, true, gate),
            NormConfig.Kind.LAYER,
            true,
            0.2)
        .toConfig();
  }
}
