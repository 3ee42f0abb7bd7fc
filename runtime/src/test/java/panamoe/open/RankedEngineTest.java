package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.function.ObjIntConsumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.ExpertFile;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.engine.schedule.RotaryModel;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.ExpertCacheStatistics;
import panamoe.param.ExpertLayout;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.node.JsonNodeFactory;

/** A PR-MoE over many ranks generates like one rank. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RankedEngineTest {
  private static final int CONTEXT = 48;
  static final EngineConfig CONFIG = new EngineConfig(14, 4, 5, 16, 0.25, true, 0);
  private static final double SLICED = 1e-5;

  static final ModelConfig MODEL =
      RotaryModel.of(CONTEXT, 4, List.of(0, 4, 8), GateConfig.dropless(1));

  /** Rows of each expert by layer, most of them one or two. */
  private static final Map<Integer, long[]> ROWS =
      Map.of(1, new long[] {1, 90, 2, 3}, 2, new long[] {60, 2, 3, 4, 5, 70, 6, 7});

  @TempDir private static Path folder;
  @TempDir private Path cache;
  private List<ListenerLog> expected;

  @BeforeAll
  void onOneRank() {
    expected = texts(Topology.ONE);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(MODEL)) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      backend.synchronize();
      JsonNodeFactory json = JsonNodeFactory.instance;
      new CheckpointStore(folder, 1)
          .save(
              new CheckpointContents(
                  1,
                  json.objectNode().set("model", ConfigJson.tree(MODEL)),
                  json.objectNode(),
                  MODEL.experts(),
                  ModelTensors.masters(model),
                  Map.of()));
    }
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
      requests.add(
          GenerationRequest.reading(
              prompt, Readout.values()[i % 4], GenerationRequest.Terms.USUAL));
    }
    return requests;
  }

  private static List<ListenerLog> texts(Topology topology) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(MODEL, ranks)) {
                model.materialize(backend, DType.FLOAT32, false, 3);
                model.pack(backend, DType.FLOAT32);
                List<ListenerLog> texts = write(backend, model);
                ranks.close();
                return texts;
              }
            })
        .getFirst();
  }

  /**
   * Sequences of ranks with replicas of experts, read from a checkpoint.
   *
   * @param elements receives for each rank its number of elements
   */
  private static List<ListenerLog> textsOfCopies(Topology topology, int copies, long[] elements) {
    InferenceSettings whole = InferenceSettings.of(WeightTypes.of(DType.FLOAT32));
    return textsOfFile(
        topology, copies, _ -> whole, (model, rank) -> elements[rank] = model.parameters().count());
  }

  /**
   * Sequences of ranks that read their parts from a checkpoint.
   *
   * @param settings of a rank
   * @param then receives each rank's model at the end
   */
  private static List<ListenerLog> textsOfFile(
      Topology topology,
      int copies,
      Function<Ranks, InferenceSettings> settings,
      ObjIntConsumer<LanguageModel> then) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Overlap overlap = copies > 1 ? new Overlap(true, 2) : Overlap.NONE;
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, overlap);
              ranks.copyExperts(ROWS, copies);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model =
                      ModelFolder.open(folder)
                          .load(
                              backend, settings.apply(ranks), ranks, new ArrayList<>(), _ -> {})) {
                List<ListenerLog> texts = write(backend, model);
                then.accept(model, world.rank());
                ranks.close();
                return texts;
              }
            })
        .getFirst();
  }

  static List<ListenerLog> write(Backend backend, LanguageModel model) throws InterruptedException {
    List<ListenerLog> texts = new ArrayList<>();
    Engine.onRanks(
        backend,
        model,
        new ByteTokenizer(),
        CONFIG,
        engine -> {
          for (GenerationRequest request : requests()) {
            ListenerLog recorder = new ListenerLog();
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
    assertSame(expected, texts(new Topology(ranks, experts, 1, 1)));
  }

  /** Replicas of experts change no bit, and take the memory of their weights. */
  @ParameterizedTest
  @CsvSource({"2, 2", "4, 4", "4, 2", "3, 3"})
  void withCopiesOfExperts(int ranks, int experts) {
    Topology topology = new Topology(ranks, experts, 1, 1);
    long[] without = new long[ranks];
    assertSame(expected, textsOfCopies(topology, 0, without));
    for (int copies = 1; copies <= 2; copies++) {
      long[] with = new long[ranks];
      assertSame(expected, textsOfCopies(topology, copies, with));
      for (int rank = 0; rank < ranks; rank++) {
        // Both layers' experts have biases: 48 x 32 + 48 up, 32 x 48 + 32 down.
        assertEquals(without[rank] + 2 * copies * (2 * 48 * 32 + 48 + 32), with[rank]);
      }
    }
  }

  /** With tensor ranks that share rows, and that slice experts. */
  @ParameterizedTest
  @CsvSource({"4, 4, 2, 1", "8, 4, 4, 2"})
  void withCopiesOfExpertsOverTensorRanks(int ranks, int experts, int tensor, int slices) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    long[] elements = new long[ranks];
    List<ListenerLog> without = textsOfCopies(topology, 0, elements);
    assertSame(without, textsOfCopies(topology, 1, elements));
    assertSame(without, textsOfCopies(topology, 2, elements));
  }

  /** Each expert's first matrix has a format of its own; rows of the second are no whole blocks. */
  @ParameterizedTest
  @CsvSource({"2, 2, 0", "3, 3, 2"})
  void withExpertsInSeveralFormats(int ranks, int experts, int copies) {
    Map<String, DType> stored = new HashMap<>();
    DType[] formats = {DType.Q8_0, DType.Q4_0, DType.FLOAT32, DType.Q5_0};
    ModelTensors.quantizedMatrices(MODEL).stream()
        .filter(it -> it.expert() >= 0)
        .forEach(it -> stored.put(it.name(), formats[it.expert() % formats.length]));
    WeightTypes types = new WeightTypes(DType.FLOAT32, DType.FLOAT32, stored, false);
    InferenceSettings whole = InferenceSettings.of(types);
    List<ListenerLog> alone = textsOfFile(Topology.ONE, 0, _ -> whole, (_, _) -> {});
    Topology topology = new Topology(ranks, experts, 1, 1);
    assertSame(alone, textsOfFile(topology, copies, _ -> whole, (_, _) -> {}));
    assertSame(
        alone,
        textsOfFile(
            topology,
            copies,
            place -> new InferenceSettings(types, memoryOfTwo(place), cache, List.of()),
            (model, _) -> assertTrue(model.parameters().expertCache().isPresent())));
    assertNotEquals(
        expected.getFirst().logprobBits, alone.getFirst().logprobBits, "matrices are rounded");
  }

  /**
   * Each rank has memory for two experts, with replicas of others' among them. Each of five ranks
   * holds all 4 experts of the first layer, but not the 8 of the next.
   */
  @ParameterizedTest
  @CsvSource({
    "2, 1, 1, 1, 0",
    "2, 2, 1, 1, 0",
    "3, 3, 1, 1, 2",
    "5, 5, 1, 1, 0",
    "4, 4, 2, 1, 1",
    "8, 4, 4, 2, 2"
  })
  void withExpertsOnTheDisk(int ranks, int experts, int tensor, int slices, int copies) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    List<ListenerLog> texts =
        textsOfFile(
            topology,
            copies,
            place -> new InferenceSettings(types, memoryOfTwo(place), cache, List.of()),
            (model, _) -> {
              ExpertCacheStatistics told =
                  model.parameters().expertCache().orElseThrow().statistics();
              assertEquals(2, told.slots());
              assertTrue(told.uses().count() > 5, told.toString());
              assertTrue(told.reads().mended() == 0, told.toString());
            });
    assertSame(tensor == 1 ? expected : textsOfCopies(topology, 0, new long[ranks]), texts);
  }

  /** Bytes of a rank's weights with two of its experts. */
  private static long memoryOfTwo(Ranks ranks) {
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(MODEL, ranks)) {
      long experts =
          model.parameters().parameters().stream()
              .filter(WeightTypes::isExpert)
              .mapToLong(parameter -> DType.FLOAT32.packedBytes(parameter.count()))
              .sum();
      ExpertLayout one =
          ExpertLayout.of(backend, types, model.moeLayers().getFirst().expertMatrices(), 0);
      return InferenceMemory.ofRank(model, types) - experts + 2 * ExpertFile.room(one.bytes());
    }
  }

  @Test
  void copiesOfExpertsAreNotTrained() {
    Topology topology = new Topology(2, 2, 1, 1);
    ThreadWorld.of(2)
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              ranks.copyExperts(ROWS, 1);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(MODEL, ranks)) {
                assertThrows(
                    IllegalStateException.class,
                    () -> model.materialize(backend, DType.FLOAT32, true, 3));
              }
              return null;
            });
  }

  static void assertSame(List<ListenerLog> expected, List<ListenerLog> found) {
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      assertEquals(expected.get(i).logprobBits, found.get(i).logprobBits);
      assertArrayEquals(expected.get(i).read, found.get(i).read);
    }
  }

  /** Slices split sums, which then round differently. */
  @ParameterizedTest
  @CsvSource({"2, 1, 2, 1", "2, 1, 2, 2", "4, 2, 2, 2", "4, 4, 2, 1", "8, 4, 4, 2"})
  void slicedOverTensorRanks(int ranks, int experts, int tensor, int slices) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    List<ListenerLog> found = texts(topology);
    assertClose(expected, found);
    List<ListenerLog> again = texts(topology);
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(found.get(i).logprobBits, again.get(i).logprobBits);
    }
  }

  static void assertClose(List<ListenerLog> expected, List<ListenerLog> found) {
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      for (int token = 0; token < expected.get(i).logprobBits.size(); token++) {
        double want = Double.longBitsToDouble(expected.get(i).logprobBits.get(token));
        double have = Double.longBitsToDouble(found.get(i).logprobBits.get(token));
        assertEquals(want, have, SLICED);
      }
      if (expected.get(i).read != null) {
        assertArrayEquals(expected.get(i).read, found.get(i).read, (float) SLICED);
      }
    }
  }

  @Test
  void textsWereWritten() {
    assertTrue(expected.stream().mapToInt(text -> text.tokens.size()).sum() > 40);
  }

  private static Backend withMemory(Backend real, long bytes) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) ->
                method.getName().equals("memoryAvailable")
                    ? bytes
                    : method.invoke(real, arguments));
  }

  private static final InferenceMemory.Cached CACHED =
      new InferenceMemory.Cached(DType.FLOAT32, CONTEXT);

  private static void requireShares(
      ModelFolder model, InferenceSettings settings, Ranks ranks, long bytes, String... refusal) {
    Executable required =
        () -> InferenceMemory.requireShares(model, settings, CACHED, ranks, bytes);
    if (refusal.length == 0) {
      assertDoesNotThrow(required);
    } else {
      String message = assertThrows(CheckpointException.class, required).getMessage();
      assertTrue(message.contains(refusal[0]), message);
    }
  }

  @Test
  void ranksOfAMachineHoldTheModelTogether() {
    Topology topology = new Topology(2, 2, 1, 1);
    ThreadWorld.of(2)
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              WeightTypes types = WeightTypes.of(DType.FLOAT32);
              InferenceSettings inMemory = InferenceSettings.of(types);
              ModelFolder model = ModelFolder.open(folder);
              InferenceMemory alone =
                  InferenceMemory.of(MODEL, types, DType.FLOAT32, CONTEXT, true);
              long whole = alone.weights();
              long rest = 2 * (alone.keysAndValues() + alone.buffers()); // of each rank
              InferenceSettings half = new InferenceSettings(types, whole / 2, folder, List.of());
              requireShares(model, inMemory, ranks, 2 * whole + rest);
              requireShares(model, half, ranks, whole + rest);
              requireShares(model, half, ranks, whole + rest - 2, "keys and values of a sequence");
              requireShares(model, inMemory, ranks, whole, "weights of the 2 ranks");
              try (Backend backend = Backends.open("cpu", 1)) {
                Backend little = withMemory(backend, whole + rest - 2);
                List<String> warnings = new ArrayList<>();
                CheckpointException atLoad =
                    assertThrows(
                        CheckpointException.class,
                        () -> model.load(little, half, ranks, CACHED, warnings, _ -> {}));
                assertTrue(atLoad.getMessage().contains("weights of the 2 ranks"));
              }
              ranks.close();
              return null;
            });
  }
}
