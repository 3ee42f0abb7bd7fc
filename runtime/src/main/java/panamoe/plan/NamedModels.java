package panamoe.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.io.Require;
import panamoe.tensor.DType;
import panamoe.train.TrainConfig;

/**
 * The models of the DeepSpeed-MoE paper by name, with the numbers of layers that add up to its
 * sizes.
 */
public final class NamedModels {
  private static final Map<String, ModelConfig> ALL = all();

  private NamedModels() {}

  private static Map<String, ModelConfig> all() {
    Map<String, ModelConfig> all = new LinkedHashMap<>();
    all.put("350M", ModelPresets.paper(1024, 24, 16, 0, 0, false));
    all.put("1.3B", ModelPresets.paper(2048, 24, 16, 0, 0, false));
    all.put("6.7B", ModelPresets.paper(4096, 32, 32, 0, 0, false));
    all.put("350M+MoE-128", ModelPresets.paper(1024, 24, 16, 128, 0, false));
    all.put("350M+PR-MoE-32/64", ModelPresets.paper(1024, 24, 16, 32, 2, true));
    all.put("350M+PR-MoE-32/64+MoS", ModelPresets.paper(1024, 21, 16, 32, 2, true));
    all.put("1.3B+MoE-128", ModelPresets.paper(2048, 24, 16, 128, 0, false));
    all.put("1.3B+PR-MoE-64/128", ModelPresets.paper(2048, 24, 16, 64, 2, true));
    all.put("1.3B+PR-MoE-64/128+MoS", ModelPresets.paper(2048, 21, 16, 64, 2, true));
    all.put("2.4B+MoE-128", ModelPresets.paper(3584, 16, 28, 128, 0, false));
    all.put("8B+MoE-128", ModelPresets.paper(4096, 40, 32, 128, 0, false));
    // The paper has no list of experts for these two: a sixth of the MoE layers have twice as many,
    // and the student an eighth fewer layers, as in its models of 1.3B.
    all.put("8B+PR-MoE-64/128", ModelPresets.paper(4096, 40, 32, 64, 3, true));
    all.put("8B+PR-MoE-64/128+MoS", ModelPresets.paper(4096, 35, 32, 64, 3, true));
    all.put("24B+MoE-128", ModelPresets.paper(8192, 30, 64, 128, 0, false));
    all.put("47B+MoE-128", ModelPresets.paper(8192, 58, 64, 128, 0, false));
    // GPT-3's shape, and the paper's model of 1.5 trillion parameters that is to do as well. The
    // paper does not list its layers: 43 of width 8192, every other one with 128 experts, have as
    // many parameters. This is the student of their Pyramid-Residual form.
    all.put("175B", ModelPresets.paper(12288, 96, 96, 0, 0, false));
    all.put("35B+PR-MoE-64/128+MoS", ModelPresets.paper(8192, 38, 64, 64, 3, true));
    return Collections.unmodifiableMap(all);
  }

  /**
   * @throws IllegalArgumentException that says which names there are
   */
  public static ModelConfig of(String name) {
    ModelConfig config = ALL.get(name);
    if (config == null) {
      throw Require.refusal(
          "'%s' is none of %s, and there is no file or folder of that name; --config takes others",
          name, String.join(", ", ALL.keySet()));
    }
    return config;
  }

  /**
   * Settings as the paper trains its MoE models, with the learning rate that it has for the width
   * or the nearest one.
   *
   * @param steps 1 or more
   * @param batch sequences of a step
   * @param sequence tokens
   */
  public static TrainConfig training(ModelConfig config, int steps, int batch, int sequence) {
    boolean narrow = config.hidden() <= 1024;
    double tokens = (double) steps * batch * sequence;
    long warmup = (long) Math.min(375e6, tokens / 20);
    return TrainConfig.of(
            new TrainConfig.Schedule(steps, narrow ? 2e-4 : 1.2e-4, narrow ? 2e-6 : 1e-6, warmup),
            new TrainConfig.Batch(batch, sequence, 1))
        .withDType(DType.BFLOAT16);
  }
}
