package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.checkpoint.LowRank;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.model.LanguageModel;
import panamoe.open.NamedAdapters;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/** A small model of a dense and two MoE layers, one with a shared expert, and its adapters. */
public final class AdaptedModel {
  public static final int CONTEXT = 64;

  private AdaptedModel() {}

  public static ModelConfig config() {
    ModelConfig uniform =
        new UniformModel(
                new ByteTokenizer().vocabularySize(),
                CONTEXT,
                32,
                new UniformModel.Attention(4, 2, UniformModel.Positions.ROTARY),
                new UniformModel.FeedForward(
                    64, Activation.SWIGLU, List.of(0, 4, 4), false, GateConfig.dropless(2)),
                NormConfig.Kind.RMS,
                true,
                0.2)
            .toConfig();
    List<BlockConfig> blocks = new ArrayList<>(uniform.blocks());
    BlockConfig last = blocks.getLast();
    MoeConfig shared =
        ((MoeConfig) last.feedForward()).withShared(new MoeConfig.SharedExpert(32, true, null));
    blocks.set(
        blocks.size() - 1,
        new BlockConfig(last.attentionNorm(), last.attention(), last.feedForwardNorm(), shared));
    return uniform.withBlocks(blocks);
  }

  /** Adapters of {@link #config}'s matrices, with some experts left out. */
  public static NamedAdapters adapters(int count) {
    return adapters(config(), count, true);
  }

  /**
   * Adapters of all matrices, each of another rank, with some experts left out.
   *
   * @param experts whether experts have any
   */
  static NamedAdapters adapters(ModelConfig config, int count, boolean experts) {
    List<String> names = IntStream.range(0, count).mapToObj(i -> "a" + i).toList();
    return new NamedAdapters(
        names, IntStream.range(0, count).mapToObj(i -> adapter(config, i, experts)).toList());
  }

  private static Map<String, LowRank> adapter(ModelConfig config, int number, boolean experts) {
    Random random = new Random(number);
    Map<String, LowRank> adapter = new LinkedHashMap<>();
    try (LanguageModel model = new LanguageModel(config)) {
      for (Parameter each : model.parameters().parameters()) {
        boolean expert = each.part() == Parameter.Part.EXPERT;
        boolean matrix =
            each.role() == Parameter.Role.OPERAND && !each.name().startsWith("embedding.");
        for (int i = 0; matrix && i < each.matrices(); i++) {
          if (!expert || experts && random.nextInt(4) > 0) {
            long[] shape = each.matrixShape();
            int rank = 1 + (number + i) % 3;
            float[] a = numbers(random, rank * shape[1]);
            adapter.put(
                each.tensorName(i), new LowRank(rank, a, numbers(random, rank * shape[0]), 0.5));
          }
        }
      }
    }
    return adapter;
  }

  private static float[] numbers(Random random, long count) {
    float[] numbers = new float[(int) count];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) random.nextGaussian() * 0.3f;
    }
    return numbers;
  }

  /** The model, the same for all adapters, in float32. */
  public static LanguageModel of(Backend backend, NamedAdapters adapters) {
    LanguageModel model = new LanguageModel(config());
    adapters.declare(model);
    model.materialize(backend, DType.FLOAT32, false, 5);
    model.pack(backend, DType.FLOAT32);
    adapters.fill(model, backend);
    return model;
  }
}
