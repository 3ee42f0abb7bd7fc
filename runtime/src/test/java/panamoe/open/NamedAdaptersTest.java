package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.SafetensorsReader;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.engine.schedule.StepRows;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** NamedAdapters, of recorded models. */
class NamedAdaptersTest {
  private static final Path MODELS = Path.of("..", "lab", "golden", "hf");
  private static final Path RECORDED = Path.of("src", "test", "resources", "golden", "adapters");

  private static ModelFolder model(String name) {
    return ModelFolder.open(MODELS.resolve(name));
  }

  private static NamedAdapters.Source source(String name, String recorded) {
    return new NamedAdapters.Source(name, RECORDED.resolve(recorded));
  }

  private static LanguageModel load(ModelFolder folder, Backend backend, NamedAdapters adapters) {
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    return folder.load(backend, InferenceSettings.of(types).with(adapters), null);
  }

  /** The logits after {@code ids} with the model's adapter of this index. */
  private static float[] logits(Backend backend, LanguageModel model, int adapter, int... ids) {
    float[] logits = new float[model.config().vocabulary()];
    EngineConfig config = new EngineConfig(1, ids.length, 1, ids.length, 0, false, 0);
    try (ModelRunner runner = new ModelRunner(backend, model, config)) {
      StepRows rows = new StepRows(ids.length);
      for (int position = 0; position < ids.length; position++) {
        rows.add(ids[position], 0, position, adapter);
      }
      rows.change(0, 0, 0);
      int last = rows.want();
      runner.run(rows);
      runner.logits(last, logits);
    }
    return logits;
  }

  /** With adapters of modules, of stacks of experts and of single experts. */
  @ParameterizedTest
  @CsvSource({"qwen3_c, dense", "qwen3_moe_b_bf16, stacked", "qwen3_moe_b_bf16, experts"})
  void logitsAreTorchs(String name, String recorded) throws IOException {
    ModelFolder folder = model(name);
    Path adapter = RECORDED.resolve(recorded);
    NamedAdapters named = NamedAdapters.read(folder, List.of(source("it", recorded)));
    try (SafetensorsReader file = SafetensorsReader.open(adapter.resolve("expected.safetensors"));
        Backend backend = Backends.open("cpu", 1);
        LanguageModel one = load(folder, backend, NamedAdapters.ofAll(folder, adapter));
        LanguageModel several = load(folder, backend, named)) {
      int[] ids = Arrays.stream(file.longs("ids")).mapToInt(id -> (int) id).toArray();
      float[] ours = logits(backend, several, 1, ids);
      float[] all = file.floats("logits");
      float[] theirs = Arrays.copyOfRange(all, all.length - ours.length, all.length);
      float largest = 0;
      for (float logit : theirs) {
        largest = Math.max(largest, Math.abs(logit));
      }
      assertArrayEquals(theirs, ours, 1e-5f * largest);
      assertArrayEquals(theirs, logits(backend, one, 0, ids), 1e-5f * largest);
      float[] plain = logits(backend, several, 0, ids);
      assertTrue(Math.abs(plain[0] - ours[0]) > 1e-3 * largest);
    }
  }

  /** Experts on the disk are computed one by one, each with its own groups of rows. */
  @Test
  void expertsOnTheDiskHaveTheirAdapters(@TempDir Path cache) {
    ModelFolder folder = model("qwen3_moe_b_bf16");
    NamedAdapters named = NamedAdapters.read(folder, List.of(source("it", "experts")));
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    long memory;
    try (LanguageModel shape = new LanguageModel(folder.config())) {
      named.declare(shape);
      long experts =
          shape.parameters().parameters().stream()
              .filter(WeightTypes::isExpert)
              .mapToLong(types::packedBytes)
              .sum();
      memory = InferenceMemory.ofRank(shape, types) - experts / 2;
    }
    InferenceSettings little = new InferenceSettings(types, memory, cache, List.of(), named);
    int[] ids = {5, 6, 7, 8, 9};
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel onDisk = folder.load(backend, little, null);
        LanguageModel whole = load(folder, backend, named)) {
      assertTrue(onDisk.parameters().expertCache().isPresent());
      for (int adapter = 0; adapter < 2; adapter++) {
        assertArrayEquals(
            logits(backend, whole, adapter, ids), logits(backend, onDisk, adapter, ids));
      }
    }
  }

  @Test
  void adaptersThatCannotBeServedAreRefused() {
    ModelFolder dense = model("qwen3_c");
    NamedAdapters.Source good = source("it", "dense");
    assertRefused(
        "9 adapters are given, expected at most 8",
        () -> NamedAdapters.read(dense, Collections.nCopies(9, good)));
    assertRefused(
        "two adapters have the name it: rename one",
        () -> NamedAdapters.read(dense, List.of(good, good)));
    String another =
        assertThrows(
                CheckpointException.class,
                () -> NamedAdapters.read(dense, List.of(source("it", "experts"))))
            .getMessage();
    assertTrue(another.contains("in the model, which has none of that name"), another);
    String missing =
        assertThrows(
                CheckpointException.class,
                () -> NamedAdapters.read(dense, List.of(source("it", "nothing"))))
            .getMessage();
    assertTrue(missing.contains("nothing does not exist, expected a run"), missing);
    NamedAdapters read = NamedAdapters.read(dense, List.of(good));
    assertRefused(
        "adapters are served by one rank, not by 2; merge one into the model with edit --merge-lora",
        () -> read.requireServed(dense.config(), new Topology(2, 1, 1, 1)));
  }

  @Test
  void theChecksumTellsNamesAndNumbersApart() {
    LowRank factor = new LowRank(1, new float[] {1}, new float[] {2}, 1);
    Map<String, LowRank> factors = Map.of("bc", factor);
    NamedAdapters all = new NamedAdapters(List.of(), List.of(factors));
    NamedAdapters named = new NamedAdapters(List.of("a"), List.of(factors));
    NamedAdapters moved = new NamedAdapters(List.of("ab"), List.of(Map.of("c", factor)));
    assertEquals(3, Stream.of(all, named, moved).map(NamedAdapters::sha256).distinct().count());
  }

  private static void assertRefused(String message, Runnable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call::run).getMessage());
  }

  @Test
  void theirMemoryIsThatOfTheirFactorsAndZerosForNone() {
    ModelFolder folder = model("qwen3_c");
    NamedAdapters one = NamedAdapters.read(folder, List.of(source("it", "dense")));
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    long elements = 0;
    for (Map.Entry<String, LowRank> each : one.factors().getFirst().entrySet()) {
      elements += each.getValue().a().length + each.getValue().b().length;
    }
    assertEquals(2 * Float.BYTES * elements, one.bytes(folder.config(), types));
    List<NamedAdapters.Source> eight =
        IntStream.range(0, 8).mapToObj(i -> source("a" + i, "dense")).toList();
    long bytes = NamedAdapters.read(folder, eight).bytes(folder.config(), types);
    assertEquals(9 * Float.BYTES * elements, bytes);
    assertEquals(0, NamedAdapters.NONE.bytes(folder.config(), types));
  }
}
