package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GateSettings.Normalization;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteCounts;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.routes.Routing;
import panamoe.engine.routes.RoutingException;
import panamoe.engine.routes.SequenceRoutes;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.BackendsUnderTest;

/** The engine reports the routes of its model's gates. */
class RoutesTest {
  private static final int CONTEXT = 48;
  private static final Routing ALL = new Routing(true, true, List.of());
  private static final Routing FEWER = new Routing(true, true, List.of(2, 1));
  private static final EngineConfig ROOMY = new EngineConfig(96, 4, 8, 32, 0.25, false, 0);

  private static final ModelConfig MODEL =
      RotaryModel.of(CONTEXT, 4, List.of(4, 0, 8), GateConfig.dropless(2));

  private static LanguageModel model(Backend backend, ModelConfig config, Ranks ranks) {
    LanguageModel model = new LanguageModel(config, ranks);
    model.materialize(backend, DType.FLOAT32, false, 3);
    model.pack(backend, DType.FLOAT32);
    return model;
  }

  /** With a gated shared expert in MoE layers. */
  private static ModelConfig withSharedExperts() {
    return new ModelConfig(
        MODEL.vocabulary(),
        MODEL.context(),
        MODEL.hidden(),
        MODEL.embedding(),
        MODEL.blocks().stream().map(RoutesTest::withSharedExpert).toList(),
        MODEL.finalNorm(),
        MODEL.head(),
        MODEL.initialWeights());
  }

  private static BlockConfig withSharedExpert(BlockConfig block) {
    if (!(block.feedForward() instanceof MoeConfig moe)) {
      return block;
    }
    return new BlockConfig(
        block.attentionNorm(),
        block.attention(),
        block.feedForwardNorm(),
        new MoeConfig(
            moe.experts(),
            moe.inner(),
            moe.activation(),
            moe.bias(),
            moe.gate(),
            new MoeConfig.SharedExpert(12, true),
            null));
  }

  private static GenerationRequest request(int seed, Routing routing) {
    Random random = new Random(seed);
    return GenerationRequest.of(
            random.ints(1 + random.nextInt(12), 0, 256).toArray(),
            SamplingConfig.of(0.5, 0, 1, seed),
            StopConfig.of(4 + random.nextInt(10), List.of()))
        .withLogprobs(2)
        .with(routing);
  }

  private static List<ListenerLog> write(Engine engine, List<GenerationRequest> requests) {
    List<ListenerLog> texts = new ArrayList<>();
    for (GenerationRequest request : requests) {
      texts.add(new ListenerLog());
      engine.submit(request, texts.getLast());
      engine.step();
    }
    while (engine.step()) {}
    return texts;
  }

  /** For each MoE layer, the experts and weights that its gate gives to the rows of a sequence. */
  private static final class Gates {
    final Map<Integer, int[]> choice = new LinkedHashMap<>();
    final Map<Integer, float[]> weight = new LinkedHashMap<>();

    Gates(Backend backend, LanguageModel model, int[] tokens) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor positions = scope.allocate(DType.INT32, tokens.length);
        positions.set(IntStream.range(0, tokens.length).toArray());
        model.forward(
            Pass.inference(backend, scope)
                .observedBy(
                    (layer, routes) -> {
                      backend.synchronize();
                      choice.put(layer, routes.choice().toInts());
                      weight.put(layer, routes.weight().toFloats());
                    }),
            scope.allocate(DType.INT32, tokens.length).set(tokens),
            new Sequences.Whole(1, tokens.length, positions),
            null,
            false);
      }
    }
  }

  private static int[] all(GenerationRequest request, ListenerLog text) {
    return IntStream.concat(
            Arrays.stream(request.prompt()), text.tokens.stream().mapToInt(token -> token))
        .toArray();
  }

  /** A shared expert's gate has only that expert. */
  @ParameterizedTest
  @MethodSource("panamoe.testkit.BackendsUnderTest#all")
  void leaveTheGatesOfSharedExpertsOut(Backend backend) {
    try (LanguageModel model = model(backend, withSharedExperts(), Ranks.alone());
        ModelRunner runner = new ModelRunner(backend, model, EngineConfig.one(24))) {
      StepRows rows = new StepRows(1);
      rows.change(0, 0, 0);
      rows.add(7, 0, 0);
      rows.want();
      runner.run(rows);
      float[] found = new float[runner.routeWidth()];
      runner.routes(0, found);
      Gates gates = new Gates(backend, model, new int[] {7});
      RouteLayout layout = new RouteLayout(runner.layers());
      for (int i = 0; i < runner.layers().size(); i++) {
        RoutedLayer layer = runner.layers().get(i);
        int number = i;
        assertArrayEquals(
            gates.choice.get(layer.layer()),
            IntStream.range(0, layer.topK()).map(k -> layout.expert(found, number, k)).toArray());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("panamoe.testkit.BackendsUnderTest#all")
  void areThoseOfTheGates(Backend backend) {
    try (LanguageModel model = model(backend, MODEL, Ranks.alone());
        Engine engine = new Engine(backend, model, new ByteTokenizer(), ROOMY.withGuesses(3))) {
      List<GenerationRequest> requests =
          IntStream.range(0, 4).mapToObj(seed -> request(seed, ALL)).toList();
      List<ListenerLog> texts = write(engine, requests);
      for (int i = 0; i < texts.size(); i++) {
        GenerationRequest request = requests.get(i);
        ListenerLog text = texts.get(i);
        int rows = request.prompt().length + text.tokens.size() - 1;
        Gates gates = new Gates(backend, model, Arrays.copyOf(all(request, text), rows));
        List<RouteStatistics.Layer> layers = text.generation.routes().layers();
        assertEquals(List.of(0, 2), layers.stream().map(RouteStatistics.Layer::layer).toList());
        int number = 0;
        for (RouteStatistics.Layer layer : layers) {
          int[] choice = gates.choice.get(layer.layer());
          float[] weight = gates.weight.get(layer.layer());
          assertEquals(2L * rows, layer.routes());
          for (int expert = 0; expert < layer.experts(); expert++) {
            int count = 0;
            double sum = 0;
            for (int route = 0; route < choice.length; route++) {
              count += choice[route] == expert ? 1 : 0;
              sum += choice[route] == expert ? weight[route] : 0;
            }
            assertEquals(count, layer.tokens()[expert]);
            assertEquals(count == 0 ? 0 : sum / count, layer.weight()[expert], 1e-5);
          }
          for (int token = 0; token < text.tokens.size(); token++) {
            int row = request.prompt().length - 1 + token;
            int best = weight[2 * row] >= weight[2 * row + 1] ? 2 * row : 2 * row + 1;
            assertEquals(choice[best], text.experts.get(token)[number]);
          }
          number++;
        }
      }
    }
  }

  @Test
  void changeNoBitOfATextAndAreToldOnlyIfAskedFor() {
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = model(backend, MODEL, Ranks.alone())) {
      List<List<ListenerLog>> runs = new ArrayList<>();
      for (Routing routing : List.of(ALL, Routing.USUAL, new Routing(true, false, List.of()))) {
        try (Engine engine = new Engine(backend, model, new ByteTokenizer(), ROOMY)) {
          runs.add(
              write(
                  engine, IntStream.range(0, 5).mapToObj(seed -> request(seed, routing)).toList()));
        }
      }
      for (int i = 0; i < 5; i++) {
        for (List<ListenerLog> run : runs) {
          assertEquals(runs.getFirst().get(i).tokens, run.get(i).tokens);
          assertEquals(runs.getFirst().get(i).logprobBits, run.get(i).logprobBits);
        }
        assertNull(runs.get(1).get(i).generation.routes());
        assertNull(runs.get(1).get(i).experts.getFirst());
        assertNull(runs.get(2).get(i).experts.getFirst());
        assertAlike(runs.get(0).get(i).generation.routes(), runs.get(2).get(i).generation.routes());
      }
    }
  }

  private static void assertAlike(RouteStatistics expected, RouteStatistics found) {
    assertEquals(expected.layers().size(), found.layers().size());
    for (int i = 0; i < expected.layers().size(); i++) {
      RouteStatistics.Layer want = expected.layers().get(i);
      RouteStatistics.Layer have = found.layers().get(i);
      assertEquals(want.layer(), have.layer());
      assertArrayEquals(want.tokens(), have.tokens());
      assertArrayEquals(want.weight(), have.weight(), 1e-5);
      assertEquals(want.topK(), have.topK());
    }
  }

  /** Recomputed rows, rejected guesses and other sequences change no statistics. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void countEachRowOfATextOnce(int ranks) {
    int context = 40;
    EngineConfig tight = new EngineConfig(14, 4, 4, 16, 0, false, 4);
    Engine engine =
        new Engine(
            new HashRunner(tight, ranks, context),
            ranks,
            HashEngine.TOKENIZER,
            tight,
            context,
            HashRunner.VOCABULARY);
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 12 * ranks; i++) {
      int[] prompt = new Random(i).ints(9, 0, 3).toArray();
      requests.add(
          GenerationRequest.of(prompt, SamplingConfig.GREEDY, StopConfig.of(25, List.of()))
              .with(i % 3 == 2 ? Routing.USUAL : ALL));
    }
    List<ListenerLog> texts = write(engine, requests);
    assertTrue(engine.interruptions() > 0);
    long counted = 0;
    for (int i = 0; i < texts.size(); i++) {
      ListenerLog text = texts.get(i);
      if (i % 3 == 2) {
        continue;
      }
      int[] tokens = all(requests.get(i), text);
      boolean ended = text.generation.end() == Generation.End.END_OF_TEXT;
      RouteLayout layout = new RouteLayout(HashRunner.LAYERS);
      RouteCounts expected = new RouteCounts(HashRunner.LAYERS);
      for (int position = 0; position < tokens.length - (ended ? 0 : 1); position++) {
        float[] row = HashRunner.routes(tokens[position], position, HashRunner.LAYERS);
        expected.add(layout, row);
        if (position >= 8 && position < 8 + text.tokens.size()) {
          assertArrayEquals(layout.best(row), text.experts.get(position - 8));
        }
      }
      assertAlike(expected.statistics(), text.generation.routes());
      counted += text.generation.routes().layers().getLast().routes();
    }
    var all = engine.routeStatistics();
    engine.step();
    assertTrue(all.join().layers().getLast().routes() > counted);
  }

  /** Recorded are all rows of sequences with the gates' own top-k, also shared ones. */
  @Test
  void areRecordedWhole() {
    try (Engine engine = HashEngine.of(new EngineConfig(40, 4, 4, 16, 1, true, 0), 24, () -> {})) {
      GenerationRequest before =
          GenerationRequest.of(new int[10], SamplingConfig.GREEDY, StopConfig.of(1, List.of()));
      write(engine, List.of(before)); // leaves blocks without routes
      List<SequenceRoutes> recorded = new ArrayList<>();
      engine.record(recorded::add);
      StopConfig sliding = new StopConfig(30, 0, List.of(), Set.of(), true, true);
      List<ListenerLog> texts =
          write(
              engine,
              List.of(
                  before,
                  before.with(Routing.USUAL),
                  before.with(new Routing(false, false, List.of(1))),
                  GenerationRequest.of(new int[5], SamplingConfig.GREEDY, sliding),
                  GenerationRequest.reading(
                      new int[5], Readout.LAST, GenerationRequest.Terms.USUAL),
                  GenerationRequest.of(
                      new int[] {1, HashRunner.REFUSED},
                      SamplingConfig.GREEDY,
                      StopConfig.of(3, List.of()))));
      assertEquals(0, texts.get(0).generation.sharedTokens(), "unknown routes were shared");
      assertEquals(8, texts.get(1).generation.sharedTokens());
      assertEquals(2, recorded.size());
      for (SequenceRoutes each : recorded) {
        assertArrayEquals(new int[10], each.tokens());
        for (int position = 0; position < 10; position++) {
          assertArrayEquals(
              HashRunner.routes(0, position, HashRunner.LAYERS), each.rows().get(position));
        }
      }
    }
  }

  @Test
  void areNotRecordedWithoutMoeLayers() {
    ModelConfig dense = RotaryModel.of(CONTEXT, 4, List.of(0, 0), null);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = model(backend, dense, Ranks.alone());
        Engine engine = new Engine(backend, model, new ByteTokenizer(), ROOMY)) {
      assertEquals(
          "the model has no MoE layers: there are no routes to record",
          assertThrows(RoutingException.class, () -> engine.record(_ -> {})).getMessage());
    }
  }

  /** Shared prefixes are not computed again. */
  @Test
  void leaveOutSharedRows() {
    Engine engine = HashEngine.of(new EngineConfig(40, 4, 4, 16, 1, true, 0), 64, () -> {});
    int[] prompt = new int[10];
    GenerationRequest request =
        GenerationRequest.of(prompt, SamplingConfig.GREEDY, StopConfig.of(1, List.of())).with(ALL);
    for (int shared : new int[] {0, 8}) {
      Generation text = write(engine, List.of(request)).getFirst().generation;
      assertEquals(shared, text.sharedTokens());
      assertEquals(10 - shared, text.routes().layers().get(1).routes());
    }
  }

  private static GateConfig withTopK(GateConfig gate, int topK) {
    return new GateConfig(
        topK,
        gate.routerBias(),
        gate.score(),
        gate.choice(),
        gate.weight(),
        gate.capacity(),
        gate.loss(),
        gate.cosine());
  }

  private static GateConfig weighted(Normalization normalization) {
    return GateConfig.dropless(2).withWeight(GateConfig.RouteWeight.of(normalization));
  }

  static Stream<Arguments> gates() {
    Stream<Arguments> onBackends =
        BackendsUnderTest.all()
            .map(backend -> Arguments.of(backend, weighted(Normalization.CHOSEN)));
    Stream<Arguments> others =
        Stream.of(
                weighted(Normalization.RAW),
                weighted(Normalization.SURVIVORS),
                GateConfig.deepSeek(3, 8))
            .map(gate -> Arguments.of(Backends.open("cpu", 2), gate));
    return Stream.concat(onBackends, others);
  }

  /**
   * A request with top-k k - 1 gives the completion of a model with the same weights and that k,
   * next to sequences with its own k, captured or not, with guesses and shared blocks; the others
   * are unchanged.
   */
  @ParameterizedTest
  @MethodSource("gates")
  void fewerExpertsAreThoseOfAModelWithFewer(Backend backend, GateConfig gate) {
    List<Integer> experts = List.of(8, 0, 8);
    Routing fewer = new Routing(true, true, List.of(gate.topK() - 1));
    EngineConfig sharing = new EngineConfig(200, 4, 8, 32, 0.25, true, 2);
    List<List<ListenerLog>> expected = new ArrayList<>();
    for (int topK : new int[] {gate.topK(), gate.topK() - 1}) {
      try (LanguageModel model =
              model(
                  backend,
                  RotaryModel.of(CONTEXT, 4, experts, withTopK(gate, topK)),
                  Ranks.alone());
          Engine engine = new Engine(backend, model, new ByteTokenizer(), sharing)) {
        expected.add(
            write(engine, IntStream.range(0, 4).mapToObj(seed -> request(seed, ALL)).toList()));
      }
    }
    assertNotEquals(expected.get(0).get(0).logprobBits, expected.get(1).get(0).logprobBits);
    try (LanguageModel model =
            model(backend, RotaryModel.of(CONTEXT, 4, experts, gate), Ranks.alone());
        Engine engine = new Engine(backend, model, new ByteTokenizer(), sharing)) {
      List<GenerationRequest> requests = new ArrayList<>();
      for (int turn = 0; turn < 2; turn++) { // each prompt was cached with the other top-k
        for (int seed = 0; seed < 4; seed++) {
          requests.add(request(seed, seed % 2 == turn ? ALL : fewer));
        }
      }
      List<ListenerLog> texts = write(engine, requests);
      texts.addAll(write(engine, List.of(requests.get(0), requests.get(1)))); // one at a time
      for (int i = 0; i < texts.size(); i++) {
        int kind = requests.get(i % 8).routing() == ALL ? 0 : 1;
        ListenerLog want = expected.get(kind).get(i % 4);
        assertEquals(want.tokens, texts.get(i).tokens);
        assertEquals(want.logprobBits, texts.get(i).logprobBits);
        if (i < 4) { // nothing is shared yet
          assertAlike(want.generation.routes(), texts.get(i).generation.routes());
          assertKept(backend, model, requests.get(i), texts.get(i));
        }
      }
    }
  }

  /** Kept is the gate's weight of the remaining experts divided by all of it. */
  private static void assertKept(
      Backend backend, LanguageModel model, GenerationRequest request, ListenerLog text) {
    List<RouteStatistics.Layer> layers = text.generation.routes().layers();
    if (request.routing() == ALL) {
      layers.forEach(layer -> assertEquals(1, layer.kept()));
      return;
    }
    // Only the first MoE layer sees the rows of the unlimited model.
    RouteStatistics.Layer first = layers.getFirst();
    int topK = first.topK();
    int rows = Math.toIntExact(first.routes() / topK);
    Gates gates = new Gates(backend, model, Arrays.copyOf(all(request, text), rows));
    float[] weight = gates.weight.get(first.layer());
    double sum = 0;
    for (int row = 0; row < rows; row++) {
      double all = 0;
      double kept = 0;
      for (int k = 0; k <= topK; k++) {
        all += weight[row * (topK + 1) + k];
        kept += k < topK ? weight[row * (topK + 1) + k] : 0;
      }
      sum += kept / all;
    }
    assertEquals(sum / rows, first.kept(), 1e-5);
    assertTrue(first.kept() < 1);
  }

  /** The same tokens with another top-k have other keys and values. */
  @Test
  void textsOfAnotherTopKShareNothing() {
    Engine engine = HashEngine.of(new EngineConfig(40, 4, 4, 16, 1, true, 0), 64, () -> {});
    GenerationRequest request =
        GenerationRequest.of(new int[10], SamplingConfig.GREEDY, StopConfig.of(1, List.of()));
    List<Integer> shared = new ArrayList<>();
    for (List<Integer> topK :
        List.of(List.<Integer>of(), List.of(1), List.of(1, 1), List.of(2, 1), List.<Integer>of())) {
      shared.add(
          write(engine, List.of(request.with(new Routing(false, false, topK))))
              .getFirst()
              .generation
              .sharedTokens());
    }
    assertEquals(List.of(0, 0, 8, 8, 8), shared);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "0; moe.top_k is 0 for layer 1, expected 1 to 2",
        "2; moe.top_k is 2 for layer 3, expected 1 to 1",
        "3 1; moe.top_k is 3 for layer 1, expected 1 to 2",
        "1 1 1; moe.top_k has 3 numbers, expected one, or one for each of 2 MoE layers"
      })
  void topKBeyondTheModelsIsRefused(String topK, String message) {
    List<Integer> numbers = Arrays.stream(topK.split(" ")).map(Integer::valueOf).toList();
    Engine engine = HashEngine.of(ROOMY, CONTEXT, () -> {});
    GenerationRequest request = request(1, new Routing(false, false, numbers));
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class, () -> engine.submit(request, new ListenerLog()))
            .getMessage());
  }

  private record OverRanks(List<ListenerLog> texts, RouteStatistics all) {}

  private static OverRanks over(Topology topology) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              OverRanks[] result = new OverRanks[1];
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = model(backend, MODEL, ranks)) {
                Engine.onRanks(
                    backend,
                    model,
                    new ByteTokenizer(),
                    ROOMY,
                    engine -> {
                      List<ListenerLog> texts =
                          write(
                              engine,
                              IntStream.range(0, 7)
                                  .mapToObj(seed -> request(seed, seed % 3 == 1 ? FEWER : ALL))
                                  .toList());
                      var statistics = engine.routeStatistics();
                      engine.step();
                      result[0] = new OverRanks(texts, statistics.join());
                    });
              }
              ranks.close();
              return result[0];
            })
        .getFirst();
  }

  /** Expert, data and tensor ranks. */
  @Test
  void areAlikeOverRanks() {
    OverRanks expected = over(Topology.ONE);
    long rows = 0;
    for (ListenerLog text : expected.texts) {
      rows += text.generation.routes().layers().getFirst().routes();
    }
    assertEquals(rows, expected.all.layers().getFirst().routes());
    assertTrue(expected.texts.get(1).generation.routes().layers().getLast().kept() < 1);
    for (Topology topology :
        List.of(new Topology(2, 2, 1, 1), new Topology(2, 1, 2, 1), new Topology(4, 2, 2, 2))) {
      OverRanks found = over(topology);
      assertAlike(expected.all, found.all);
      assertEquals(
          expected.all.layers().getLast().kept(), found.all.layers().getLast().kept(), 1e-5);
      for (int i = 0; i < expected.texts.size(); i++) {
        ListenerLog want = expected.texts.get(i);
        ListenerLog have = found.texts.get(i);
        assertAlike(want.generation.routes(), have.generation.routes());
        for (int token = 0; token < want.tokens.size(); token++) {
          assertArrayEquals(want.experts.get(token), have.experts.get(token));
        }
      }
    }
  }

  @Test
  void areRefusedOfADenseModel() {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model =
            model(
                backend,
                RotaryModel.of(CONTEXT, 4, List.of(0, 0), GateConfig.dropless(1)),
                Ranks.alone());
        Engine engine = new Engine(backend, model, new ByteTokenizer(), ROOMY)) {
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> engine.submit(request(1, ALL), new ListenerLog()))
              .getMessage();
      assertTrue(message.contains("no MoE layers"), message);
      var statistics = engine.routeStatistics();
      write(engine, List.of(request(1, Routing.USUAL)));
      assertEquals(List.of(), statistics.join().layers());
    }
  }
}
