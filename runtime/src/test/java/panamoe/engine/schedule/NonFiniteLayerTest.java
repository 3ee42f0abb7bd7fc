package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** A model with one NaN among its weights, in an expert that only some sequences use. */
class NonFiniteLayerTest {
  private static final int CONTEXT = 48;
  private static final ModelConfig CONFIG =
      new UniformModel(
              new ByteTokenizer().vocabularySize(),
              CONTEXT,
              32,
              new UniformModel.Attention(2, 2, UniformModel.Positions.ROTARY),
              new UniformModel.FeedForward(
                  48, Activation.SWIGLU, List.of(0, 8, 0, 8), false, GateConfig.dropless(1)),
              NormConfig.Kind.RMS,
              false,
              0.2)
          .toConfig();

  /**
   * @param layer of the NaN; -1 for none
   */
  private static LanguageModel model(Backend backend, int layer) {
    LanguageModel model = new LanguageModel(CONFIG);
    model.materialize(backend, DType.FLOAT32, false, 3);
    String name = "layers." + layer + ".moe.experts.down.weight";
    model.parameters().parameters().stream()
        .filter(parameter -> parameter.name().equals(name))
        .forEach(
            parameter -> {
              Tensor expert = parameter.matrix(parameter.master(), 5);
              expert.setFloat(7, Float.NaN);
            });
    model.pack(backend, DType.FLOAT32);
    return model;
  }

  /** Sequences that run together. */
  private static List<ListenerLog> write(Backend backend, int layer, EngineConfig config) {
    List<ListenerLog> texts = new ArrayList<>();
    try (LanguageModel model = model(backend, layer);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), config)) {
      for (int i = 0; i < 24; i++) {
        int[] prompt = new Random(i).ints(1 + i % 3, 0, 256).toArray();
        ListenerLog text = new ListenerLog();
        engine.submit(
            GenerationRequest.of(
                    prompt, SamplingConfig.of(1, 0, 1, i), StopConfig.of(1 + i % 4, List.of()))
                .withLogprobs(2),
            text);
        texts.add(text);
      }
      while (engine.step()) {}
    }
    return texts;
  }

  /** From layer 1 the NaN reaches a gate, which refuses it; from layer 3 the logits. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void theLayerIsNamedAndOtherTextsGoOn(int layer) {
    EngineConfig config = EngineConfig.of(8, CONTEXT).withGuesses(0);
    try (Backend backend = Backends.open("cpu", 2)) {
      List<ListenerLog> healthy = write(backend, -1, config);
      List<ListenerLog> texts = write(backend, layer, config);
      int failed = 0;
      for (int i = 0; i < texts.size(); i++) {
        ListenerLog text = texts.get(i);
        if (text.failure == null) {
          assertEquals(healthy.get(i).logprobBits, text.logprobBits);
          assertEquals(healthy.get(i).text.toString(), text.text.toString());
        } else {
          failed++;
          String message = text.failure.getMessage();
          assertTrue(
              message.startsWith(
                  "the model gives numbers that are not finite in layer " + layer + " after "),
              message);
        }
      }
      assertTrue(failed > 2 && failed < texts.size() - 2, failed + " texts failed");
    }
  }

  /** The prompt's first tokens use the expert; its last ones come in later steps. */
  @Test
  void theLayerIsThatOfTheFirstTokenThatWentWrong() {
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = model(backend, 1)) {
      int[] tokens = new Random(1).ints(CONTEXT, 0, 256).toArray();
      for (int rows : new int[] {1, 5, CONTEXT}) {
        assertEquals(
            1, NonFiniteLayer.of(backend, model, DType.FLOAT32, tokens, CONTEXT, rows, null));
      }
    }
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel healthy = model(backend, -1)) {
      assertEquals(
          -1, NonFiniteLayer.of(backend, healthy, DType.FLOAT32, new int[] {1, 2, 3}, 3, 2, null));
      assertNull(write(backend, -1, EngineConfig.one(CONTEXT)).getFirst().failure);
    }
  }
}
