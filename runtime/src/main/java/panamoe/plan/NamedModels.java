package panamoe.plan;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.io.Require;
import panamoe.io.Spelling;
import panamoe.tensor.DType;
import panamoe.train.TrainConfig;

/**
 * The models of the DeepSpeed-MoE paper by name. Numbers of layers are those that give the paper's
 * model sizes.
 */
public final class NamedModels {
  private static final Map<String, ModelConfig> ALL = all();

  private NamedModels() {}

  private static Map<String, ModelConfig> all() {
    Map<String, ModelConfig> all = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
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
    // The paper does not list the experts of these two. Like in its 1.3B models, a sixth of the MoE
    // layers has twice the experts, and the student has an eighth fewer layers.
    all.put("8B+PR-MoE-64/128", ModelPresets.paper(4096, 40, 32, 64, 3, true));
    all.put("8B+PR-MoE-64/128+MoS", ModelPresets.paper(4096, 35, 32, 64, 3, true));
    all.put("24B+MoE-128", ModelPresets.paper(8192, 30, 64, 128, 0, false));
    all.put("47B+MoE-128", ModelPresets.paper(8192, 58, 64, 128, 0, false));
    // GPT-3's shape, and the paper's MoE model of 1.5 trillion parameters of equal quality. The
    // paper does not list its layers: 43 of width 8192 with 128 experts on every other one give
    // that size. This is the student of its Pyramid-Residual variant.
    all.put("175B", ModelPresets.paper(12288, 96, 96, 0, 0, false));
    all.put("35B+PR-MoE-64/128+MoS", ModelPresets.paper(8192, 38, 64, 64, 3, true));
    return Collections.unmodifiableMap(all);
  }

  /**
   * Finds a model by its name in any case.
   *
   * @throws IllegalArgumentException that lists the names
   */
  public static ModelConfig of(String name) {
    ModelConfig config = ALL.get(name);
    if (config == null) {
      throw Require.refusal(
          "'%s' is none of %s, and there is no file or folder of that name; --config takes others%s",
          name, String.join(", ", ALL.keySet()), Spelling.hint(name, ALL.keySet()));
    }
    return config;
  }

  /**
   * The paper's training settings for MoE models, with its learning rate for the nearest width.
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
