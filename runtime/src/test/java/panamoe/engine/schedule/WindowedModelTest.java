package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Heads;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
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

/** Windows in some layers of a MoE: sequences equal those of layers that keep every token. */
class WindowedModelTest {
  private static final int CONTEXT = 64;

  /** Blocks for a third of the sequences, with shared prefixes and guesses. */
  private static final EngineConfig STORM = new EngineConfig(18, 4, 5, 16, 0, true, 3);

  private static final EngineConfig ALONE = new EngineConfig(16, 4, 1, 1, 1, false, 0);

  /** By layer; 0 for none, and one beyond the context counts as none. */
  private static final int[] WINDOWS = {7, 0, 3, CONTEXT};

  private static final ModelConfig MODEL = withWindows();

  private static ModelConfig withWindows() {
    ModelConfig whole = RotaryModel.of(CONTEXT, 2, List.of(0, 4, 8, 0), GateConfig.dropless(1));
    List<BlockConfig> blocks = new ArrayList<>();
    for (BlockConfig block : whole.blocks()) {
      GroupedQueryConfig old = (GroupedQueryConfig) block.attention();
      Scores scores = new Scores(Mask.CAUSAL, WINDOWS[blocks.size()], true, null);
      blocks.add(
          new BlockConfig(
              block.attentionNorm(),
              new GroupedQueryConfig(
                  old.heads(), old.biases(), old.queryKeyNorm(), old.clip(), old.rotary(), scores),
              block.feedForwardNorm(),
              block.feedForward()));
    }
    blocks.set(1, likeGemma4(blocks.get(1)));
    return whole.withBlocks(blocks);
  }

  /** Larger heads, whose keys are values, and norms of the experts and of an MLP beside them. */
  private static BlockConfig likeGemma4(BlockConfig block) {
    GroupedQueryConfig old = (GroupedQueryConfig) block.attention();
    NormConfig norm = new NormConfig(NormConfig.Kind.RMS, 1e-6);
    GateConfig gate = ((MoeConfig) block.feedForward()).gate();
    return new BlockConfig(
            block.attentionNorm(),
            GroupedQueryConfig.of(
                    new Heads(4, 2, 16),
                    false,
                    new Rotary(1e4, 16, Rotary.Pairs.HALVES, new RotaryScaling.Proportional(0.25)))
                .with(new GroupedQueryConfig.Values(true, norm))
                .with(old.scores()),
            block.feedForwardNorm(),
            MoeConfig.of(
                    4,
                    48,
                    Activation.GEGLU_TANH,
                    false,
                    gate.withWeight(gate.weight().timesFactors()))
                .withShared(new MoeConfig.SharedExpert(24, false, norm)),
            BlockConfig.Norms.AROUND,
            null)
        .withScale();
  }

  private static List<GenerationRequest> requests(int count) {
    Random random = new Random(4);
    int[] shared = random.ints(17, 0, 256).toArray();
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = i % 3 == 0 ? shared : random.ints(1 + random.nextInt(20), 0, 256).toArray();
      requests.add(
          GenerationRequest.of(
                  prompt,
                  SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                  StopConfig.of(10 + random.nextInt(30), List.of()))
              .withLogprobs(2));
    }
    return requests;
  }

  /** Generates the sequences together, or one after the other. */
  private static List<ListenerLog> write(Engine engine, int count, boolean together) {
    List<ListenerLog> texts = new ArrayList<>();
    for (GenerationRequest request : requests(count)) {
      ListenerLog recorder = new ListenerLog();
      engine.submit(request, recorder);
      texts.add(recorder);
      do {
        engine.step();
      } while (!together && !recorder.over());
    }
    while (engine.step()) {
      engine.idle();
    }
    assertEquals(0, engine.usage());
    assertEquals(0, engine.windowBlocks());
    return texts;
  }

  private static LanguageModel model(Backend backend, Ranks ranks, DType dtype) {
    LanguageModel model = new LanguageModel(MODEL, ranks);
    model.materialize(backend, dtype, false, 3);
    model.pack(backend, dtype);
    return model;
  }

  /** With the same blocks in all layers. */
  private static List<ListenerLog> expected(
      Backend backend, DType dtype, EngineConfig config, int count, boolean together) {
    try (LanguageModel model = model(backend, Ranks.alone(), dtype);
        Engine engine =
            new Engine(
                new ModelRunner(backend, model, config),
                1,
                new ByteTokenizer(),
                config,
                CONTEXT,
                MODEL.vocabulary())) {
      return write(engine, count, together);
    }
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
                    engine -> {
                      texts.addAll(write(engine, 12, together));
                      assertEquals(together, engine.interruptions() > 0);
                    });
                ranks.close();
              }
              return texts;
            })
        .getFirst();
  }

  private static void assertSame(List<ListenerLog> expected, List<ListenerLog> found) {
    for (int i = 0; i < expected.size(); i++) {
      assertTrue(expected.get(i).tokens.size() > 5);
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      assertEquals(expected.get(i).logprobBits, found.get(i).logprobBits);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, FLOAT32, false", "1, BFLOAT16, true", "2, FLOAT32, true"})
  void aTextIsThatOfAWholeCacheInAStorm(int ranks, DType dtype, boolean int8) {
    List<ListenerLog> expected;
    try (Backend backend = Backends.open("cpu", 1)) {
      expected = expected(backend, dtype, ALONE.withInt8Cache(int8), 12, false);
    }
    Topology topology = new Topology(ranks, ranks, 1, 1);
    EngineConfig storm = STORM.withInt8Cache(int8);
    assertSame(expected, texts(topology, dtype, storm, true));
  }

  /** Tensor ranks split sums, so they are compared among themselves. */
  @ParameterizedTest
  @CsvSource({"2, 1"})
  void tensorRanksHoldWindowsToo(int tensor, int slices) {
    Topology topology = new Topology(tensor, 1, tensor, slices);
    List<ListenerLog> expected = texts(topology, DType.FLOAT32, ALONE, false);
    assertSame(expected, texts(topology, DType.FLOAT32, STORM, true));
  }

  /** The later content of a released block changes no result. */
  @ParameterizedTest
  @MethodSource("panamoe.testkit.BackendsUnderTest#natives")
  void everyBackendReadsWindowsAlone(Backend backend) {
    EngineConfig config = new EngineConfig(32, 4, 2, 8, 1, false, 0);
    List<ListenerLog> expected = expected(backend, DType.FLOAT32, config, 1, true);
    try (LanguageModel model = model(backend, Ranks.alone(), DType.FLOAT32);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), config)) {
      assertSame(expected, write(engine, 1, true));
    }
  }
}
