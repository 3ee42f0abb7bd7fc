package panamoe.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class NearlyEqualTest {
  private static ModelConfig with(int context, Double scale) {
    ModelConfig model = EveryPart.model();
    return new ModelConfig(
        model.vocabulary(),
        context,
        model.hidden(),
        model.embedding(),
        model.blocks(),
        model.finalNorm(),
        new HeadConfig(false, false, scale),
        model.initialWeights());
  }

  /** A number may have gone through float32; sizes must be equal. */
  @Test
  void numbersAreAlikeAndSizesEqual() {
    ModelConfig model = with(2_000_000, 0.1);
    assertEquals(List.of(), NearlyEqual.differences(model, with(2_000_000, (double) 0.1f)));
    assertEquals(
        List.of("context", "head.scale"), NearlyEqual.differences(model, with(2_000_001, 0.1001)));
    assertEquals(List.of("head.scale"), NearlyEqual.differences(model, with(2_000_000, null)));
  }
}
