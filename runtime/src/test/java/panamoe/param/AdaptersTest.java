package panamoe.param;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;

class AdaptersTest {
  private static final ModelConfig CONFIG = ModelPresets.of(Size.TINY, Architecture.DEEPSEEK, 257);

  private static List<String> adapted(String... targets) {
    try (LanguageModel model = new LanguageModel(CONFIG)) {
      Adapters.declare(model.parameters(), AdapterConfig.of(2, List.of(targets)));
      return model.parameters().parameters().stream()
          .filter(each -> each.adapter() != null)
          .map(Parameter::name)
          .toList();
    }
  }

  private static String refusal(int rank, String target) {
    return assertThrows(
            IllegalArgumentException.class,
            () -> {
              try (LanguageModel model = new LanguageModel(CONFIG)) {
                Adapters.declare(
                    model.parameters(), AdapterConfig.of(rank, List.of("attention", target)));
              }
            })
        .getMessage();
  }

  @Test
  void targetsAreWordsOrNames() {
    assertTrue(adapted("attention").stream().allMatch(name -> name.contains(".attention.")));
    assertEquals(
        List.of("layers.1.moe.experts.up.weight", "layers.1.moe.experts.down.weight"),
        adapted("experts").subList(0, 2));
    assertTrue(adapted("shared").stream().allMatch(name -> name.contains(".shared.")));
    assertTrue(adapted("dense").stream().allMatch(name -> name.contains(".mlp.")));
    assertEquals("layers.1.moe.gate.weight", adapted("router").getFirst());
    assertEquals(List.of("layers.0.attention.key.weight"), adapted("layers.0.*key"));
    assertEquals(
        adapted("attention", "experts").size(),
        adapted("experts", "attention", "layers.0.attention.query").size());
  }

  @Test
  void aTargetThatMatchesNothingIsRefusedWithWhatThereIs() {
    String message = refusal(2, "atention");
    assertTrue(
        message.startsWith(
            "the target atention matches no matrix of the model; there are attention, dense,"),
        message);
    assertTrue(message.contains("layers.*.moe.experts.up,"), message);
    assertTrue(refusal(2, "embedding").contains("matches no matrix"));
  }

  @Test
  void aRankThatExceedsAMatrixIsRefused() {
    int experts = CONFIG.experts().stream().mapToInt(Integer::intValue).max().orElseThrow();
    String message = refusal(experts + 1, "router");
    assertTrue(message.startsWith("rank is " + (experts + 1) + ", but layers.1.moe.gate"), message);
    assertThrows(IllegalArgumentException.class, () -> AdapterConfig.of(0, List.of("head")));
  }

  @Test
  void factorsHaveTheShapesOfTheirMatrix() {
    try (LanguageModel model = new LanguageModel(CONFIG)) {
      Adapters.declare(model.parameters(), AdapterConfig.of(3, List.of("experts", "attention")));
      Map<String, Parameter> named =
          model.parameters().parameters().stream()
              .collect(Collectors.toMap(Parameter::name, Function.identity()));
      Parameter up = named.get("layers.1.moe.experts.up.weight");
      Adapter adapter = up.adapter();
      assertArrayEquals(new long[] {up.shape()[0], 3, up.shape()[2]}, adapter.a().shape());
      assertArrayEquals(new long[] {up.shape()[0], up.shape()[1], 3}, adapter.b().shape());
      assertEquals("layers.1.moe.experts.2.up.weight.lora_a", adapter.a().tensorName(2));
      assertEquals(2f, adapter.scale());
      assertNull(named.get("layers.1.moe.gate.weight").adapter());
      // Four tensor ranks hold a fourth of B, and of A its whole, with a gradient over their slice.
      Topology topology = new Topology(4, 1, 4, 4);
      Adapter query = named.get("layers.0.attention.query.weight").adapter();
      assertEquals(query.a().count(), query.a().count(topology));
      assertEquals(4, query.a().replicas(topology));
      assertEquals(query.b().count() / 4, query.b().count(topology));
      assertEquals(1, query.b().replicas(topology));
      Adapter output = named.get("layers.0.attention.output.weight").adapter();
      assertEquals(output.a().count() / 4, output.a().count(topology));
      assertEquals(output.b().count(), output.b().count(topology));
    }
  }

  @Test
  void settingsAreReadAsWritten() {
    AdapterConfig config = new AdapterConfig(16, 24, true, 0.05, List.of("experts", "head"));
    assertEquals(
        config, ConfigJson.parse(ConfigJson.text(config), AdapterConfig.class, "settings"));
    assertEquals(6f, config.scale());
  }
}
