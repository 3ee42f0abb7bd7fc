package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.Routing;
import panamoe.engine.routes.RoutingException;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.engine.schedule.ModelRunner;
import panamoe.engine.schedule.StepRows;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.ExpertCacheStatistics;
import panamoe.param.Parameter;
import panamoe.param.Weight;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A PR-MoE with most experts on the disk. */
class ExpertsOnDiskTest {
  private static final int[] PROMPT = {7, 1, 200, 31, 5, 90, 0, 255};
  private static final WeightTypes FLOATS = WeightTypes.of(DType.FLOAT32);

  @TempDir Path folder;

  private final Backend backend = Backends.open("cpu", 2);
  private final List<String> warnings = new ArrayList<>();

  @BeforeEach
  void save() {
    ModelConfig config =
        new UniformModel(
                new ByteTokenizer().vocabularySize(),
                48,
                64,
                new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
                new UniformModel.FeedForward(
                    96, Activation.GELU_TANH, List.of(0, 4, 8, 8), true, GateConfig.dropless(2)),
                NormConfig.Kind.LAYER,
                true,
                0.3)
            .toConfig();
    try (LanguageModel drawn = new LanguageModel(config)) {
      drawn.materialize(backend, DType.FLOAT32, false, 5);
      JsonNodeFactory json = JsonNodeFactory.instance;
      ObjectNode tree = json.objectNode().set("model", ConfigJson.tree(config));
      new CheckpointStore(folder.resolve("run"), 1)
          .save(
              new CheckpointContents(
                  1,
                  tree,
                  json.objectNode(),
                  config.experts(),
                  ModelTensors.masters(drawn),
                  Map.of()));
    }
  }

  @AfterEach
  void close() {
    backend.close();
  }

  private LanguageModel load(InferenceSettings settings) {
    return ModelFolder.open(folder.resolve("run"))
        .load(backend, settings, Ranks.alone(), warnings, _ -> {});
  }

  private InferenceSettings within(WeightTypes types, long memory) {
    return new InferenceSettings(types, memory, folder.resolve("cache"), List.of());
  }

  /** Bytes of a model's weights without experts, and of a slot for an expert. */
  private static long bytes(LanguageModel whole, WeightTypes types, int experts) {
    long bytes = InferenceMemory.of(whole.config(), types).weights();
    long largest = 0;
    for (Parameter parameter : whole.parameters().parameters()) {
      if (WeightTypes.isExpert(parameter)) {
        bytes -= types.packedBytes(parameter);
        largest = Math.max(largest, parameter.value().bytes() / parameter.matrices());
      }
    }
    // Up and down are equally large here; a slot is whole blocks of the file.
    return bytes + experts * Math.ceilDiv(2 * largest, 4096) * 4096;
  }

  private LanguageModel loadWith(WeightTypes types, int experts) {
    try (LanguageModel whole = load(InferenceSettings.of(types))) {
      return load(within(types, bytes(whole, types, experts)));
    }
  }

  private List<ListenerLog> write(LanguageModel model) throws InterruptedException {
    Random random = new Random(4);
    List<ListenerLog> texts = new ArrayList<>();
    Engine.onRanks(
        backend,
        model,
        new ByteTokenizer(),
        new EngineConfig(60, 4, 5, 16, 0, true, 3),
        engine -> {
          for (int i = 0; i < 9; i++) {
            ListenerLog recorder = new ListenerLog();
            engine.submit(
                GenerationRequest.of(
                        random.ints(1 + random.nextInt(12), 0, 256).toArray(),
                        SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                        StopConfig.of(10 + random.nextInt(20), List.of()))
                    .with(new Routing(false, false, i % 4 == 0 ? List.of(1) : List.of()))
                    .withLogprobs(2),
                recorder);
            texts.add(recorder);
          }
          while (engine.step()) {
            engine.idle();
          }
        });
    return texts;
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32, FLOAT32, 2", "BFLOAT16, BFLOAT16, 5", "FLOAT32, Q8_0, 3"})
  void writesTheTextsOfAModelThatIsWholeInMemory(DType compute, DType experts, int slots)
      throws InterruptedException {
    WeightTypes types = new WeightTypes(compute, experts);
    List<ListenerLog> whole;
    try (LanguageModel model = load(InferenceSettings.of(types))) {
      whole = write(model);
    }
    try (LanguageModel model = loadWith(types, slots)) {
      List<ListenerLog> read = write(model);
      for (int i = 0; i < whole.size(); i++) {
        assertEquals(whole.get(i).tokens, read.get(i).tokens);
        assertEquals(whole.get(i).logprobBits, read.get(i).logprobBits);
      }
      ExpertCacheStatistics told = model.parameters().expertCache().orElseThrow().statistics();
      assertEquals(slots, told.slots());
      assertEquals(20, told.experts());
      assertTrue(
          told.uses().hits() > 0 && told.uses().hits() < told.uses().count(), told.toString());
      assertTrue(told.guesses().made() > 0 && told.guesses().right() > 0, told.toString());
      assertTrue(
          told.written().bytesPerToken() > 0 && told.reads().bandwidth() > 0, told.toString());
    }
    assertTrue(whole.stream().mapToInt(text -> text.tokens.size()).sum() > 60);
    assertEquals(List.of(), warnings);
  }

  /** Each expert's matrices are one unit of the cache, numbered layer by layer. */
  @Test
  void weightsSayWhereExpertsAre() {
    try (LanguageModel model = loadWith(FLOATS, 2)) {
      List<Integer> firsts = new ArrayList<>();
      for (Parameter parameter : model.parameters().parameters()) {
        if (WeightTypes.isExpert(parameter)) {
          Weight.Offloaded weight =
              assertInstanceOf(Weight.Offloaded.class, parameter.weight(), parameter.name());
          assertSame(model.parameters().expertCache().orElseThrow(), weight.cache());
          assertSame(parameter, weight.layouts().getLast().stack());
          firsts.add(weight.first());
        } else {
          assertNotNull(parameter.value(), parameter.name());
        }
      }
      assertEquals(List.of(0, 0, 4, 4, 12, 12), firsts);
    }
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("cache"))) {
      return files.filter(path -> path.toString().endsWith(".experts")).toList();
    }
  }

  private Path file() throws IOException {
    assertEquals(1, files().size(), files().toString());
    return files().getFirst();
  }

  private float[] logits(int slots, long mended) {
    try (LanguageModel model = loadWith(FLOATS, slots)) {
      float[] logits = ModelRunner.nextLogits(backend, model, PROMPT);
      assertEquals(
          mended, model.parameters().expertCache().orElseThrow().statistics().reads().mended());
      return logits;
    }
  }

  /** A damaged expert is repaired when it is read; an incomplete file is written again. */
  @ParameterizedTest
  @ValueSource(strings = {"expert", "header", "short"})
  void aDamagedFileIsWrittenAgain(String damage) throws IOException {
    float[] expected = logits(2, 0);
    byte[] written = Files.readAllBytes(file());
    byte[] changed = written.clone();
    switch (damage) {
      case "expert" -> {
        for (int at = 4096; at < changed.length; at += 4096) {
          changed[at + 9] ^= 4;
        }
      }
      case "header" -> changed[50] ^= 1;
      default -> changed = Arrays.copyOf(written, written.length - 4096);
    }
    Files.write(file(), changed);
    try (LanguageModel model = loadWith(FLOATS, 2)) {
      assertArrayEquals(expected, ModelRunner.nextLogits(backend, model, PROMPT));
      long mended = model.parameters().expertCache().orElseThrow().statistics().reads().mended();
      assertEquals(damage.equals("expert"), mended > 0);
    }
    assertArrayEquals(expected, logits(2, 0), "nothing that the prompt needs is damaged any more");
    if (!damage.equals("expert")) {
      assertArrayEquals(written, Files.readAllBytes(file()));
    }
  }

  /** One file for all budgets of a model, another one for another dtype. */
  @Test
  void theFileIsKept() throws IOException {
    logits(2, 0);
    Object first = Files.getAttribute(file(), "unix:ino");
    logits(4, 0);
    assertEquals(first, Files.getAttribute(file(), "unix:ino"));
    loadWith(WeightTypes.of(DType.BFLOAT16), 2).close();
    assertEquals(2, files().size());
  }

  @Test
  void tooLittleMemoryIsRefusedWithTheLeastThatWorks() {
    String message =
        assertThrows(CheckpointException.class, () -> load(within(FLOATS, 100_000)).close())
            .getMessage();
    Matcher least =
        Pattern.compile("needs (0\\.\\d) MiB of --memory or more, not 97\\.7 KiB:")
            .matcher(message);
    assertTrue(least.find(), message);
    double needed = Double.parseDouble(least.group(1));
    load(within(FLOATS, (long) (needed * (1 << 20)))).close();
    assertThrows(
        CheckpointException.class,
        () -> load(within(FLOATS, (long) ((needed - 0.1) * (1 << 20)))).close());
  }

  @Test
  void aFolderThatCannotBeWrittenIsRefused() throws IOException {
    Files.writeString(folder.resolve("cache"), "a file");
    String message =
        assertThrows(CheckpointException.class, () -> loadWith(FLOATS, 2)).getMessage();
    assertTrue(message.contains("cannot be written ("), message);
    assertTrue(message.contains("--expert-cache"), message);
  }

  private static LongStream heat(Path cache, ModelFolder run) {
    return new ExpertHeat(cache, run)
        .layers().stream().flatMapToLong(layer -> Arrays.stream(layer.tokens()));
  }

  /** Counts of servers are kept, fill the cache at the start, and change no bit. */
  @Test
  void heatIsKeptAndWarms() throws IOException {
    ModelFolder run = ModelFolder.open(folder.resolve("run"));
    Path cache = folder.resolve("cache");
    float[] cold;
    RouteStatistics routes;
    try (LanguageModel model = loadWith(FLOATS, 8);
        ModelRunner runner = new ModelRunner(backend, model, EngineConfig.one(48))) {
      StepRows rows = new StepRows(48);
      for (int position = 0; position < PROMPT.length; position++) {
        rows.add(PROMPT[position], 0, position);
      }
      rows.change(0, 0, 0);
      rows.want();
      runner.run(rows);
      routes = runner.statistics();
      cold = ModelRunner.nextLogits(backend, model, PROMPT);
    }
    for (int life = 1; life <= 2; life++) {
      new ExpertHeat(cache, run).save(routes);
      List<ExpertHeat.Layer> kept = new ExpertHeat(cache, run).layers();
      assertEquals(3, kept.size());
      for (int i = 0; i < 3; i++) {
        long[] sums = routes.layers().get(i).tokens().clone();
        int lives = life;
        Arrays.setAll(sums, e -> lives * sums[e]);
        assertArrayEquals(sums, kept.get(i).tokens());
        assertEquals(i + 1, kept.get(i).layer());
      }
    }
    try (LanguageModel model = loadWith(FLOATS, 19)) {
      assertArrayEquals(cold, ModelRunner.nextLogits(backend, model, PROMPT));
      ExpertCacheStatistics told = model.parameters().expertCache().orElseThrow().statistics();
      long chosen = heat(cache, run).filter(n -> n > 0).count();
      assertTrue(
          told.uses().count() - told.uses().hits() <= Math.max(0, chosen - 19), told.toString());
    }
    Path file;
    try (Stream<Path> files = Files.list(cache)) {
      file = files.filter(path -> path.toString().endsWith(".heat.json")).findFirst().orElseThrow();
    }
    String kept = Files.readString(file);
    for (String damaged :
        List.of(
            "",
            "{",
            "{\"model\":\"x\",\"layers\":[]}",
            kept.replaceFirst("\"model\" : \"\\w+\"", "\"model\" : null"),
            kept.replaceFirst("(?s)\\{\\s*\"layer\".*?\\}", "null"),
            kept.replaceFirst("(?s)\"tokens\" : \\[.*?\\]", "\"tokens\" : null"))) {
      assertNotEquals(kept, damaged);
      Files.writeString(file, damaged);
      assertEquals(0, heat(cache, run).sum());
    }
  }

  /** Fewer experts at loading equal a request's limit. */
  @Test
  void fewerExpertsPerTokenAreThoseOfARequest() throws InterruptedException {
    List<Integer> topK = List.of(2, 1, 1);
    InferenceSettings limited = new InferenceSettings(FLOATS, Long.MAX_VALUE, null, topK);
    ListenerLog asked = new ListenerLog();
    ListenerLog loaded = new ListenerLog();
    GenerationRequest request =
        GenerationRequest.of(PROMPT, SamplingConfig.of(0, 0, 1, 1), StopConfig.of(20, List.of()))
            .withLogprobs(3);
    try (LanguageModel whole = load(InferenceSettings.of(FLOATS));
        LanguageModel fewer = load(limited)) {
      run(whole, request.with(new Routing(false, false, topK)), asked);
      run(fewer, request, loaded);
      assertEquals(asked.tokens, loaded.tokens);
      assertEquals(asked.logprobBits, loaded.logprobBits);
      assertEquals(
          "moe.top_k is 2 for layer 2, expected 1 to 1",
          assertThrows(
                  RoutingException.class,
                  () -> run(fewer, request.with(new Routing(false, false, List.of(2))), loaded))
              .getMessage());
    }
    for (List<Integer> wrong :
        List.of(List.of(0), List.of(3), List.of(1, 1), List.of(1, 1, 1, 1))) {
      assertThrows(
          RoutingException.class,
          () -> load(new InferenceSettings(FLOATS, Long.MAX_VALUE, null, wrong)));
    }
  }

  private void run(LanguageModel model, GenerationRequest request, ListenerLog recorder)
      throws InterruptedException {
    Engine.onRanks(
        backend,
        model,
        new ByteTokenizer(),
        EngineConfig.one(48),
        engine -> {
          engine.submit(request, recorder);
          while (engine.step()) {
            engine.idle();
          }
        });
  }
}
