package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.testkit.EveryNativeBackend;

/** With latent attention, sequences do not depend on each other. */
class LatentModelTest {
  private static final int CONTEXT = 40;
  private static final int TEXTS = 4;

  /** Blocks for a part of the sequences, with shared prefixes and guesses. */
  private static final EngineConfig STORM = new EngineConfig(12, 4, 4, 16, 0, true, 3);

  private static final EngineConfig ALONE = new EngineConfig(10, 4, 1, 1, 1, false, 0);

  private static final ModelConfig MODEL = latent();

  private static ModelConfig latent() {
    ModelConfig whole = RotaryModel.of(CONTEXT, 4, List.of(0, 4), GateConfig.dropless(1));
    LatentAttentionConfig attention =
        new LatentAttentionConfig(
            new LatentAttentionConfig.Heads(4, 8, 6),
            new LatentAttentionConfig.Ranks(null, 12),
            new NormConfig(NormConfig.Kind.RMS, 1e-6),
            new Rotary(1e4, 4, Rotary.Pairs.ADJACENT, null),
            0.3);
    return whole.withBlocks(
        whole.blocks().stream()
            .map(
                block ->
                    new BlockConfig(
                        block.attentionNorm(),
                        attention,
                        block.feedForwardNorm(),
                        block.feedForward()))
            .toList());
  }

  /** Generates the sequences together, or one after the other. */
  private static List<ListenerLog> write(Engine engine, int count, boolean together) {
    Random random = new Random(4);
    int[] shared = random.ints(17, 0, 256).toArray();
    List<ListenerLog> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = i % 2 == 0 ? shared : random.ints(1 + random.nextInt(20), 0, 256).toArray();
      ListenerLog recorder = new ListenerLog();
      engine.submit(
          GenerationRequest.of(
                  prompt,
                  SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                  StopConfig.of(8 + random.nextInt(8), List.of()))
              .withLogprobs(2),
          recorder);
      texts.add(recorder);
      do {
        engine.step();
      } while (!together && !recorder.over());
    }
    while (engine.step()) {
      engine.idle();
    }
    return texts;
  }

  private static List<ListenerLog> texts(
      Topology topology, DType dtype, EngineConfig config, boolean together) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              List<ListenerLog> texts = new ArrayList<>();
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = model(backend, ranks, dtype)) {
                Engine.onRanks(
                    backend,
                    model,
                    new ByteTokenizer(),
                    config,
                    engine -> texts.addAll(write(engine, TEXTS, together)));
                ranks.close();
              }
              return texts;
            })
        .getFirst();
  }

  private static LanguageModel model(Backend backend, Ranks ranks, DType dtype) {
    LanguageModel model = new LanguageModel(MODEL, ranks);
    model.materialize(backend, dtype, false, 3);
    model.pack(backend, dtype);
    return model;
  }

  private static void assertSame(List<ListenerLog> expected, List<ListenerLog> found) {
    for (int i = 0; i < expected.size(); i++) {
      assertTrue(expected.get(i).tokens.size() > 5);
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      assertEquals(expected.get(i).logprobBits, found.get(i).logprobBits);
    }
  }

  /** Tensor ranks split sums, so they are compared among themselves. */
  @ParameterizedTest
  @CsvSource({"1, FLOAT32, false", "1, BFLOAT16, true", "2, FLOAT32, false"})
  void aTextIsThatOfOneAloneInAStorm(int tensor, DType dtype, boolean int8) {
    Topology topology = new Topology(tensor, 1, tensor, 1);
    List<ListenerLog> alone = texts(topology, dtype, ALONE.withInt8Cache(int8), false);
    assertSame(alone, texts(topology, dtype, STORM.withInt8Cache(int8), true));
  }

  /** Repeated steps are captured: what they look up was created before. */
  @EveryNativeBackend
  void everyBackendRecordsItsSteps(Backend backend) {
    try (LanguageModel model = model(backend, Ranks.alone(), DType.FLOAT32);
        Engine together = new Engine(backend, model, new ByteTokenizer(), STORM);
        Engine alone = new Engine(backend, model, new ByteTokenizer(), ALONE)) {
      assertSame(write(alone, 2, false), write(together, 2, true));
    }
  }
}
