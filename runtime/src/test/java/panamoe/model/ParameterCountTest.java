package panamoe.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.MoeConfig;

/**
 * Every size of the paper, counted over the layers of the model without allocating them. Expected
 * values come from closed formulas, which agree with the published sizes.
 */
class ParameterCountTest {
  private static final long VOCABULARY = 50257;
  private static final long CONTEXT = 2048;

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "350M dense,             1024, 24, 16,   0, 0, false,    0.356",
    "1.3B dense,             2048, 24, 16,   0, 0, false,    1.316",
    "6.7B dense,             4096, 32, 32,   0, 0, false,    6.658",
    "350M+MoE-128,           1024, 24, 16, 128, 0, false,   13.149",
    "1.3B+MoE-128,           2048, 24, 16, 128, 0, false,   52.471",
    "350M+MoE-32,            1024, 24, 16,  32, 0, false,    3.479",
    "350M+Pyramid-32/64,     1024, 24, 16,  32, 2, false,    4.016",
    "350M+Residual-32,       1024, 24, 16,  32, 0, true,     3.579",
    "350M+PR-MoE-32/64,      1024, 24, 16,  32, 2, true,     4.117",
    "1.3B+PR-MoE-64/128,     2048, 24, 16,  64, 2, true,    31.392",
    "350M+PR-MoE L21,        1024, 21, 16,  32, 2, true,     3.542",
    "1.3B+PR-MoE L21,        2048, 21, 16,  64, 2, true,    26.944",
    "2.4B+MoE-128,           3584, 16, 28, 128, 0, false,  107.08",
    "8B+MoE-128,             4096, 40, 32, 128, 0, false,  349.24",
    "24B+MoE-128,            8192, 30, 64, 128, 0, false, 1047.42",
    "47B+MoE-128,            8192, 58, 64, 128, 0, false, 2024.62",
  })
  void reproducesThePaper(
      String name,
      int hidden,
      int layers,
      int heads,
      int experts,
      int pyramid,
      boolean residual,
      double billions) {
    ModelConfig config = ModelPresets.paper(hidden, layers, heads, experts, pyramid, residual);
    try (LanguageModel model = new LanguageModel(config)) {
      long count = model.parameters().count();
      assertEquals(formula(config), count);
      double unit = billions < 100 ? 1e6 : 1e7;
      assertEquals(billions * 1e9 / unit, Math.round(count / unit), 1e-6, name);
    }
  }

  private static long formula(ModelConfig config) {
    long h = config.hidden();
    long expert = 8 * h * h + 5 * h;
    long total = config.layers() * (12 * h * h + 13 * h) + VOCABULARY * h + CONTEXT * h + 2 * h;
    for (BlockConfig block : config.blocks()) {
      if (block.feedForward() instanceof MoeConfig moe) {
        int experts = moe.experts();
        total +=
            moe.residual() != null
                ? experts * (expert + h) + 2 * h + 2
                : (experts - 1) * expert + experts * h;
      }
    }
    return total;
  }

  /** The halves of PR-MoE, each alone. */
  @ParameterizedTest
  @CsvSource({"MOE, 8, false", "PYRAMID, 16, false", "RESIDUAL, 8, true", "PR_MOE, 16, true"})
  void anArchitectureIsAPyramidOrHasFixedMlps(
      Architecture architecture, int last, boolean residual) {
    ModelConfig config = ModelPresets.of(ModelPresets.Size.DEMO, architecture, 257);
    assertEquals(List.of(0, 8, 0, last), config.experts());
    for (int layer : new int[] {1, 3}) {
      MoeConfig moe = (MoeConfig) config.blocks().get(layer).feedForward();
      assertEquals(residual, moe.residual() != null);
    }
  }
}
