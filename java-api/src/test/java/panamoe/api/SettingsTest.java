package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Records of settings refuse invalid values when they are created. */
class SettingsTest {
  private static final LayerSettings LAYER = LayerSettings.of(8, 16, 4, 1);
  private static final MemorySegment LOGITS = MemorySegment.ofArray(new float[4]);

  static Stream<Arguments> refusals() {
    return Stream.of(
        refused("logits is null", () -> new Teacher(null, 0.5, 1)),
        refused("alpha is -0.5", () -> new Teacher(LOGITS, -0.5, 1)),
        refused("alpha is 1.0E30", () -> new Teacher(LOGITS, 1e30, 1e6)),
        refused("temperature is 0.0", () -> new Teacher(LOGITS, 0.5, 0)),
        refused("temperature is NaN", () -> new Teacher(LOGITS, 0.5, Double.NaN)),
        refused("temperature is 1.0E39", () -> new Teacher(LOGITS, 0, 1e39)),
        refused("beta1 is 1.0", () -> new AdamWSettings(1, 0.9, 1e-8, 0, 1)),
        // As float32 these are 1 and 0.
        refused("beta2 is 0.999999999", () -> new AdamWSettings(0.9, 1 - 1e-9, 1e-8, 0, 1)),
        refused("epsilon is 1.0E-50", () -> new AdamWSettings(0.9, 0.95, 1e-50, 0, 1)),
        refused("clip is 0.0", () -> AdamWSettings.USUAL.withClip(0)),
        refused("precision is null", () -> new Execution(null, null)),
        refused("expert is 0", () -> Degrees.of(0)),
        refused("tensor is 0", () -> Degrees.of(1).withTensor(0)),
        refused("slices is 3", () -> Degrees.of(1).withTensor(2).withSlices(3)),
        refused("hidden is 0", () -> LayerSettings.of(0, 16, 4, 1)),
        refused("topK is 5 but there are only 4 experts", () -> LayerSettings.of(8, 16, 4, 5)),
        refused("capacityFactor is NaN", () -> LAYER.withCapacityFactor(Double.NaN)),
        refused("activation is null", () -> LAYER.withActivation(null)),
        refused("vocabulary is 0", () -> ModelSettings.of(0, 8, 8, 2, List.of(0))),
        refused("hidden is 0", () -> model(0, 0)),
        refused("hidden is 1000000000, more than any model has", () -> model(1_000_000_000, 0)),
        refused("hidden is 9, which 2 heads do not divide", () -> model(9, 4)),
        refused("experts is null", () -> ModelSettings.of(16, 8, 8, 2, null)),
        refused("experts is empty: the model would have zero layers", () -> model(8)),
        refused("a number of experts is null", () -> model(8, (Integer) null)),
        refused("layer 0 has -1 experts", () -> model(8, -1)),
        refused("layer 0: topK is 5 but there are only 4 experts", () -> model(8, 4).withTopK(5)),
        refused("capacityFactor is -1.0", () -> model(8, 4).withCapacityFactor(-1)));
  }

  private static ModelSettings model(int hidden, Integer... experts) {
    return ModelSettings.of(16, 8, hidden, 2, Arrays.asList(experts));
  }

  private static Arguments refused(String why, Runnable making) {
    return Arguments.of(why, making);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("refusals")
  void areRefusedWhenMade(String why, Runnable making) {
    String said = assertThrows(PanamoeException.BadArgument.class, making::run).getMessage();
    assertEquals(why, said.split(", expected")[0]);
  }
}
