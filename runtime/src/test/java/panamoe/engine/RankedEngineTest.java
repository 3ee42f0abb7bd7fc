package panamoe.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/** Texts of a PR-MoE that many ranks hold are those of one rank. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RankedEngineTest {
  private static final int CONTEXT = 48;
  private static final EngineConfig CONFIG = new EngineConfig(14, 4, 5, 16, 0.25, true, 0);
  private static final double SLICED = 1e-5;

  private static final ModelConfig MODEL =
      new UniformModel(
              new ByteTokenizer().vocabularySize(),
              CONTEXT,
              32,
              4,
              4,
              48,
              List.of(0, 4, 8),
              true,
              GateConfig.dropless(1),
              Activation.GELU_TANH,
              NormConfig.Kind.LAYER,
              UniformModel.Positions.ROTARY,
              true,
              0.2)
          .toConfig();

  private List<Recorder> expected;

  @BeforeAll
  void onOneRank() {
    expected = texts(Topology.ONE);
  }

  private static List<GenerationRequest> requests() {
    Random random = new Random(4);
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      int[] prompt = random.ints(1 + random.nextInt(12), 0, 256).toArray();
      requests.add(
          GenerationRequest.of(
                  prompt,
                  SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                  StopConfig.of(4 + random.nextInt(10), List.of()))
              .withLogprobs(2));
    }
    return requests;
  }

  private static List<Recorder> texts(Topology topology) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(MODEL, ranks)) {
                model.materialize(backend, DType.FLOAT32, false, 3);
                model.pack(backend, DType.FLOAT32);
                List<Recorder> texts = write(backend, model);
                ranks.close();
                return texts;
              }
            })
        .getFirst();
  }

  private static List<Recorder> write(Backend backend, LanguageModel model)
      throws InterruptedException {
    List<Recorder> texts = new ArrayList<>();
    Engine.onRanks(
        backend,
        model,
        new ByteTokenizer(),
        CONFIG,
        engine -> {
          for (GenerationRequest request : requests()) {
            Recorder recorder = new Recorder();
            engine.submit(request, recorder);
            texts.add(recorder);
            engine.step();
          }
          while (engine.step()) {
            engine.idle();
          }
        });
    return texts;
  }

  /** Expert and data degrees change no bit. */
  @ParameterizedTest
  @CsvSource({"2, 1", "2, 2", "4, 2", "4, 4", "3, 3"})
  void spreadOverExpertAndDataRanks(int ranks, int experts) {
    List<Recorder> found = texts(new Topology(ranks, experts, 1, 1));
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      assertEquals(expected.get(i).logprobBits, found.get(i).logprobBits);
    }
  }

  /** Slices divide sums, which then round otherwise. */
  @ParameterizedTest
  @CsvSource({"2, 1, 2, 1", "2, 1, 2, 2", "4, 2, 2, 2", "4, 4, 2, 1", "8, 4, 4, 2"})
  void slicedOverTensorRanks(int ranks, int experts, int tensor, int slices) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    List<Recorder> found = texts(topology);
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      for (int token = 0; token < expected.get(i).logprobBits.size(); token++) {
        double want = Double.longBitsToDouble(expected.get(i).logprobBits.get(token));
        double have = Double.longBitsToDouble(found.get(i).logprobBits.get(token));
        assertEquals(want, have, SLICED);
      }
    }
    List<Recorder> again = texts(topology);
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(found.get(i).logprobBits, again.get(i).logprobBits);
    }
  }

  @Test
  void textsWereWritten() {
    assertTrue(expected.stream().mapToInt(text -> text.tokens.size()).sum() > 40);
  }
}
