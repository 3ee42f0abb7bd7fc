package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import jdk.jfr.Configuration;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.node.JsonNodeFactory;

/** The events that the flight recorder gets of a model and its engine, by panamoe.jfc. */
class FlightRecordingTest {
  private static final WeightTypes FLOATS = WeightTypes.of(DType.FLOAT32);
  private static final int TOKENS = 5;

  @TempDir static Path folder;

  private static Map<String, List<RecordedEvent>> events;

  @BeforeAll
  static void recordAModel() throws Exception {
    try (Backend backend = Backends.open("cpu", 1)) {
      save(backend);
      Path file = folder.resolve("recording.jfr");
      try (Recording recording = new Recording(configuration())) {
        recording.start();
        write(backend);
        recording.stop();
        recording.dump(file);
      }
      events =
          RecordingFile.readAllEvents(file).stream()
              .filter(event -> event.getEventType().getName().startsWith("panamoe."))
              .collect(
                  Collectors.groupingBy(
                      event -> event.getEventType().getName(), TreeMap::new, Collectors.toList()));
    }
  }

  private static Configuration configuration() throws Exception {
    try (Reader reader =
        new InputStreamReader(
            FlightRecordingTest.class.getResourceAsStream("/panamoe/panamoe.jfc"),
            StandardCharsets.UTF_8)) {
      return Configuration.create(reader);
    }
  }

  /** Saves a model of 2 layers with 8 experts. */
  private static void save(Backend backend) {
    ModelConfig config =
        new UniformModel(
                new ByteTokenizer().vocabularySize(),
                48,
                64,
                new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
                new UniformModel.FeedForward(
                    96, Activation.GELU_TANH, List.of(8, 8), false, GateConfig.dropless(2)),
                NormConfig.Kind.LAYER,
                true,
                0.3)
            .toConfig();
    try (LanguageModel drawn = new LanguageModel(config)) {
      drawn.materialize(backend, DType.FLOAT32, false, 5);
      JsonNodeFactory json = JsonNodeFactory.instance;
      new CheckpointStore(folder.resolve("run"), 1)
          .save(
              new CheckpointContents(
                  1,
                  json.objectNode().set("model", ConfigJson.tree(config)),
                  json.objectNode(),
                  config.experts(),
                  ModelTensors.masters(drawn),
                  Map.of()));
    }
  }

  /** Completes two prompts together with most experts on the disk, then the first one again. */
  private static void write(Backend backend) {
    ModelFolder run = ModelFolder.open(folder.resolve("run"));
    long memory = InferenceMemory.of(run.config(), FLOATS).weights() / 2;
    InferenceSettings settings =
        new InferenceSettings(FLOATS, memory, folder.resolve("cache"), List.of());
    EngineConfig config = new EngineConfig(60, 4, 5, 16, 0, true, 0);
    try (LanguageModel model = run.load(backend, settings, Ranks.alone(), null, _ -> {});
        Engine engine = new Engine(backend, model, new ByteTokenizer(), config)) {
      engine.submit(request(8), new ListenerLog());
      engine.submit(request(6), new ListenerLog());
      while (engine.step()) {}
      engine.submit(request(8), new ListenerLog());
      while (engine.step()) {}
    }
  }

  private static GenerationRequest request(int length) {
    return new GenerationRequest(
        IntStream.range(0, length).map(i -> 7 * i + length).toArray(),
        SamplingConfig.GREEDY,
        new StopConfig(TOKENS, TOKENS, List.of(), Set.of(), true, false),
        -1,
        null,
        GenerationRequest.Terms.USUAL,
        Routing.USUAL);
  }

  private static List<Integer> numbers(String event, String field) {
    return events.get(event).stream().map(each -> each.getInt(field)).toList();
  }

  @Test
  void theSettingsNameEveryEvent() throws Exception {
    TreeSet<String> enabled = new TreeSet<>();
    configuration()
        .getSettings()
        .forEach(
            (setting, value) -> {
              if (setting.endsWith("#enabled") && value.equals("true")) {
                enabled.add(setting.substring(0, setting.indexOf('#')));
              }
            });
    assertEquals(enabled, events.keySet());
  }

  @Test
  void aLoadHasItsPathDeviceAndBytes() {
    RecordedEvent load = events.get("panamoe.ModelLoad").getFirst();
    assertEquals(folder.resolve("run").toString(), load.getString("path"));
    assertTrue(load.getString("device").startsWith("cpu"), load.getString("device"));
    ModelConfig config = ModelFolder.open(folder.resolve("run")).config();
    assertEquals(InferenceMemory.of(config, FLOATS).weights() / 2, load.getLong("bytes"));
    assertTrue(load.getDuration().isPositive());
  }

  @Test
  void aSequenceWaitsThenHasItsFirstToken() {
    for (String event : List.of("panamoe.Queue", "panamoe.FirstToken")) {
      assertEquals(List.of(8, 6, 8), numbers(event, "prompt"));
      assertEquals(List.of(0, 0, 4), numbers(event, "cached")); // a block of four tokens
    }
    for (int i = 0; i < 3; i++) {
      RecordedEvent queue = events.get("panamoe.Queue").get(i);
      RecordedEvent first = events.get("panamoe.FirstToken").get(i);
      assertTrue(first.getDuration().compareTo(queue.getDuration()) > 0);
      assertTrue(first.getEndTime().isAfter(queue.getEndTime()));
    }
  }

  @Test
  void aStepIsAPrefillOrADecode() {
    assertEquals(List.of(14, 4), numbers("panamoe.Prefill", "prompt"));
    assertEquals(List.of(0, 0), numbers("panamoe.Prefill", "decode"));
    assertEquals(List.of(2, 1), numbers("panamoe.Prefill", "sequences"));
    assertEquals(List.of(2, 2, 2, 2, 1, 1, 1, 1), numbers("panamoe.Decode", "decode"));
    for (RecordedEvent step : events.get("panamoe.Decode")) {
      assertEquals(0, step.getInt("prompt"));
      assertEquals(0, step.getInt("waiting"));
      assertTrue(step.getFloat("usage") > 0 && step.getFloat("usage") < 1);
    }
  }

  @Test
  void eachLayerReportsTheBalanceOfItsExperts() {
    assertEquals(List.of(0, 1), numbers("panamoe.Experts", "layer"));
    int rows = 14 + 4 + 8 + 4;
    for (RecordedEvent layer : events.get("panamoe.Experts")) {
      assertEquals(2 * rows, layer.getLong("routes"));
      assertEquals(8, layer.getInt("experts"));
      assertTrue(layer.getDouble("imbalance") >= 1 && layer.getDouble("imbalance") <= 4);
      assertTrue(layer.getDouble("entropy") >= 1 && layer.getDouble("entropy") <= 3);
      assertTrue(layer.getInt("unused") <= 6);
    }
  }

  @Test
  void eachStepTellsWhatItReadOfTheExpertsOnDisk() {
    List<RecordedEvent> steps = events.get("panamoe.ExpertCache");
    assertEquals(List.of(14, 2, 2, 2, 2, 4, 1, 1, 1, 1), numbers("panamoe.ExpertCache", "tokens"));
    for (RecordedEvent step : steps) {
      assertTrue(step.getLong("uses") >= 4, "two experts of two layers");
      assertTrue(step.getLong("hits") >= 0 && step.getLong("hits") <= step.getLong("uses"));
    }
    assertTrue(steps.stream().mapToLong(step -> step.getLong("bytes")).sum() > 0);
  }
}
