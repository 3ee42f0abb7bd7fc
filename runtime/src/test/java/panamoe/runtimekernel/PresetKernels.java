package panamoe.runtimekernel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import panamoe.backend.Activation;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.config.MoeConfig;
import panamoe.tensor.DType;

/** Every kernel of the presets' decode steps, and of well-known models' gates and layers. */
final class PresetKernels {
  static final ActivationExpression X_TANH =
      new ActivationExpression("x * tanhf(x)", "tanhf(x) + x * (1 - tanhf(x) * tanhf(x))");

  private PresetKernels() {}

  static Collection<RuntimeKernel> all() {
    Set<RuntimeKernel> kernels = new LinkedHashSet<>();
    for (ModelConfig config : configs()) {
      for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
        kernels.addAll(RuntimeKernels.of(config, dtype, null));
      }
    }
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      kernels.add(new RuntimeKernel.Expert(4096, Activation.SWIGLU, null, dtype, dtype, dtype));
      kernels.add(new RuntimeKernel.Expert(1024, Activation.CUSTOM, X_TANH, dtype, dtype, dtype));
    }
    kernels.add(new RuntimeKernel.CustomActivation(X_TANH));
    return kernels;
  }

  private static List<ModelConfig> configs() {
    List<ModelConfig> configs = new ArrayList<>();
    for (Size size : Size.values()) {
      for (Architecture architecture : List.of(Architecture.MOE, Architecture.PR_MOE)) {
        configs.add(ModelPresets.of(size, architecture, 257));
      }
    }
    // DeepSpeed-MoE's 350M+MoE-128, 1.3B+MoE-128 and 350M+PR-MoE-32/64 (arXiv 2201.05596, tables 1
    // and 3).
    configs.add(ModelPresets.paper(1024, 24, 16, 128, 0, false));
    configs.add(ModelPresets.paper(2048, 24, 16, 128, 0, false));
    configs.add(ModelPresets.paper(1024, 24, 16, 32, 2, true));
    // Gates of other systems: Mixtral's, DeepSpeed's top-2 and top-k, and the largest supported
    // one.
    ModelConfig small = ModelPresets.of(Size.TINY, Architecture.MOE, 257);
    configs.add(withExperts(small, 8, GateConfig.dropless(2)));
    configs.add(withExperts(small, 16, GateConfig.deepSpeed(2, 1, 4)));
    configs.add(withExperts(small, 64, GateConfig.deepSpeed(6, 1, 4)));
    configs.add(withExperts(small, 1024, GateConfig.dropless(16)));
    return configs;
  }

  private static ModelConfig withExperts(ModelConfig like, int experts, GateConfig gate) {
    BlockConfig block = like.blocks().getLast();
    MoeConfig moe = (MoeConfig) block.feedForward();
    MoeConfig other = MoeConfig.of(experts, moe.inner(), moe.activation(), moe.bias(), gate);
    return new ModelConfig(
        like.vocabulary(),
        like.context(),
        like.hidden(),
        like.embedding(),
        List.of(
            new BlockConfig(
                block.attentionNorm(), block.attention(), block.feedForwardNorm(), other)),
        like.finalNorm(),
        like.head(),
        like.initialWeights());
  }
}
