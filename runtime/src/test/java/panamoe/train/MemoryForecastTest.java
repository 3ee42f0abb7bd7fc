package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.abi.NativeBackend;
import panamoe.model.LanguageModel;
import panamoe.model.ModelConfig;
import panamoe.moe.GateConfig;
import panamoe.nn.Norm;
import panamoe.tensor.DType;

/** What a step really takes, by the device's own account, against the forecast. */
class MemoryForecastTest {
  private static final int BATCH = 8;
  private static final int SEQUENCE = 64;

  static Stream<Arguments> runs() {
    TrainConfig training = TrainConfig.of(2, BATCH, SEQUENCE);
    return Stream.of(
        Arguments.of("dense", List.of(0, 0, 0, 0), null, training),
        Arguments.of("PR-MoE", List.of(0, 8, 0, 16), GateConfig.dropless(1), training),
        Arguments.of("top-2 dropping", List.of(0, 4, 0, 4), GateConfig.deepSpeed(2, 1, 4), training),
        Arguments.of("bfloat16", List.of(0, 8, 0, 16), GateConfig.dropless(1), training.withDType(DType.BFLOAT16)),
        Arguments.of("recomputed", List.of(0, 4, 0, 4), GateConfig.dropless(1), training.withRecompute(true)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("runs")
  void isWithinATenth(String name, List<Integer> experts, GateConfig gate, TrainConfig training) {
    ModelConfig config =
        new ModelConfig(
            SyntheticSequences.VOCABULARY,
            SEQUENCE,
            128,
            4,
            4,
            512,
            experts,
            gate != null,
            gate,
            Activation.GELU_TANH,
            Norm.Kind.LAYER,
            ModelConfig.Positions.LEARNED,
            true,
            0.02);
    RunConfig run = new RunConfig(config, training, 1);
    try (NativeBackend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, training.dtype(), true, 1);
      Trainer trainer = new Trainer(backend, model, run, new SyntheticSequences(SEQUENCE, 1));
      trainer.next();
      trainer.next();
      double peak = backend.memoryUsage().peak();
      double forecast = MemoryForecast.of(config, training).total();
      assertEquals(1, peak / forecast, 0.1, name + " took " + peak + " bytes, forecast " + forecast);
    }
  }
}
