package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
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
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.engine.schedule.ModelRunner;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A checkpoint whose experts are rounded to blocks while it is loaded. */
class RoundedMatricesTest {
  private static final int CONTEXT = 48;

  @TempDir Path folder;

  private final Backend backend = Backends.open("cpu", 2);

  private static ModelConfig config(int inner) {
    return config(64, inner);
  }

  private static ModelConfig config(int hidden, int inner) {
    return new UniformModel(
            new ByteTokenizer().vocabularySize(),
            CONTEXT,
            hidden,
            new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                inner, Activation.SWIGLU, List.of(0, 4, 8), true, GateConfig.dropless(1)),
            NormConfig.Kind.LAYER,
            true,
            0.1)
        .toConfig();
  }

  @BeforeEach
  void save() {
    save(config(96), null);
  }

  /**
   * @param spoilt a parameter whose first element becomes NaN, or null
   */
  private void save(ModelConfig config, String spoilt) {
    try (LanguageModel drawn = new LanguageModel(config)) {
      drawn.materialize(backend, DType.FLOAT32, false, 5);
      drawn.parameters().parameters().stream()
          .filter(parameter -> parameter.name().equals(spoilt))
          .forEach(parameter -> parameter.master().setFloat(0, Float.NaN));
      JsonNodeFactory json = JsonNodeFactory.instance;
      ObjectNode tree = json.objectNode().set("model", ConfigJson.tree(config));
      new CheckpointStore(folder, 1)
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

  private LanguageModel load(Backend on, DType compute, DType experts, List<String> warnings) {
    WeightTypes types = new WeightTypes(compute, experts);
    return ModelFolder.open(folder)
        .load(on, InferenceSettings.of(types), Ranks.alone(), warnings, _ -> {});
  }

  /** Of each expert's matrix, rounded whole. */
  @ParameterizedTest
  @CsvSource({"cpu, Q8_0, FLOAT32", "cpu, Q4_0, BFLOAT16", "simt, Q4_0, BFLOAT16"})
  void holdsTheBlocksOfItsMatrices(String device, DType blocks, DType compute) {
    assumeTrue(System.getProperty("panamoe.test.backends", device).contains(device));
    List<String> warnings = new ArrayList<>();
    try (Backend on = Backends.open(device, 2);
        LanguageModel floats = load(backend, DType.FLOAT32, DType.FLOAT32, warnings);
        LanguageModel drawn = new LanguageModel(floats.config());
        LanguageModel loaded = load(on, compute, blocks, warnings);
        TensorScope scope = TensorScope.confined(on)) {
      drawn.materialize(backend, DType.FLOAT32, false, 5);
      int matrices = 0;
      for (int i = 0; i < loaded.parameters().parameters().size(); i++) {
        Parameter parameter = loaded.parameters().parameters().get(i);
        Tensor value = parameter.value();
        boolean matrix = WeightTypes.mayBeBlocks(parameter);
        DType wanted = parameter.part() == Parameter.Part.EMBEDDING ? DType.Q8_0 : blocks;
        assertEquals(matrix ? wanted : parameter.valueDType(compute), value.dtype());
        if (!matrix) {
          continue;
        }
        matrices++;
        long[] shape = parameter.shape();
        byte[] rounded = new byte[(int) wanted.bytes(parameter.count())];
        wanted
            .blocks()
            .round(
                drawn.parameters().parameters().get(i).master().data(),
                MemorySegment.ofArray(rounded));
        Tensor room = scope.allocate(DType.UINT8, rounded.length);
        room.copyFrom(MemorySegment.ofArray(rounded));
        Tensor packed = scope.allocatePacked(wanted, on.packedBytes(wanted, shape), shape);
        on.pack(room.part(0, wanted, shape), packed);
        assertEquals(-1, HostView.elements(packed).mismatch(HostView.elements(value)));
      }
      assertEquals(
          loaded.parameters().parameters().stream().filter(WeightTypes::mayBeBlocks).count(),
          matrices);
      assertEquals(List.of(), warnings);
    }
  }

  /** Like llama.cpp's files in Q4_0. */
  @Test
  void embeddingAndHeadOfAWideModelHaveSixBits() {
    WeightTypes types = new WeightTypes(DType.BFLOAT16, DType.Q4_0);
    try (LanguageModel wide = new LanguageModel(config(512, 96))) {
      for (Parameter parameter : wide.parameters().parameters()) {
        boolean vocabulary = parameter.part() == Parameter.Part.EMBEDDING;
        if (WeightTypes.mayBeBlocks(parameter)) {
          DType held = vocabulary ? DType.Q6_K : DType.Q4_0;
          assertEquals(Set.of(held), Set.copyOf(types.of(parameter)), parameter.name());
        }
      }
    }
  }

  /** The CPU's logits are those of float64 products of the same blocks and rounded rows. */
  @ParameterizedTest
  @CsvSource({"Q8_0", "Q4_0"})
  void logitsAgreeWithTheReference(DType blocks) {
    List<String> warnings = new ArrayList<>();
    try (Backend reference = new ReferenceBackend();
        LanguageModel here = load(backend, DType.FLOAT32, blocks, warnings);
        LanguageModel there = load(reference, DType.FLOAT32, blocks, warnings);
        LanguageModel floats = load(backend, DType.FLOAT32, DType.FLOAT32, warnings)) {
      float[] found = ModelRunner.nextLogits(backend, here, 7, 1, 200);
      float[] expected = ModelRunner.nextLogits(reference, there, 7, 1, 200);
      float[] exact = ModelRunner.nextLogits(backend, floats, 7, 1, 200);
      double apart = 0;
      for (int i = 0; i < found.length; i++) {
        // A row rounded to the other code near a tie is off by a 254th of its largest element.
        assertEquals(expected[i], found[i], 2e-3);
        apart = Math.max(apart, Math.abs(exact[i] - found[i]));
      }
      assertTrue(apart > 0, "matrices are rounded");
    }
  }

  private static List<GenerationRequest> requests() {
    Random random = new Random(4);
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      requests.add(
          GenerationRequest.of(
                  random.ints(1 + random.nextInt(12), 0, 256).toArray(),
                  SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                  StopConfig.of(10 + random.nextInt(20), List.of()))
              .withLogprobs(2));
    }
    return requests;
  }

  private List<ListenerLog> write(LanguageModel model, EngineConfig config, boolean together)
      throws InterruptedException {
    List<ListenerLog> texts = new ArrayList<>();
    Engine.onRanks(
        backend,
        model,
        new ByteTokenizer(),
        config,
        engine -> {
          for (GenerationRequest request : requests()) {
            ListenerLog recorder = new ListenerLog();
            engine.submit(request, recorder);
            texts.add(recorder);
            while (!together && !recorder.over()) {
              engine.step();
            }
          }
          while (engine.step()) {
            engine.idle();
          }
        });
    return texts;
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32, Q8_0", "BFLOAT16, Q4_0"})
  void aTextIsTheSameAloneAndInABatch(DType compute, DType blocks) throws InterruptedException {
    try (LanguageModel model = load(backend, compute, blocks, new ArrayList<>())) {
      List<ListenerLog> alone = write(model, new EngineConfig(12, 4, 1, 1, 1, false, 0), false);
      List<ListenerLog> batch = write(model, new EngineConfig(60, 4, 5, 16, 0, true, 3), true);
      assertTrue(alone.stream().mapToInt(text -> text.tokens.size()).sum() > 60);
      for (int i = 0; i < alone.size(); i++) {
        assertEquals(alone.get(i).tokens, batch.get(i).tokens);
        assertEquals(alone.get(i).logprobBits, batch.get(i).logprobBits);
      }
    }
  }

  @Test
  void rowsThatAreNoWholeBlocksStayAndAWarningNamesThem() {
    save(config(40), null);
    List<String> warnings = new ArrayList<>();
    try (LanguageModel model = load(backend, DType.BFLOAT16, DType.Q8_0, warnings)) {
      assertEquals(1, warnings.size());
      String warning = warnings.getFirst();
      assertTrue(warning.startsWith("layers.0.mlp.down."), warning);
      assertTrue(warning.contains(" and 4 more stay bfloat16: its rows of 40 "), warning);
      List<String> rounded =
          model.parameters().parameters().stream()
              .filter(WeightTypes::isExpert)
              .filter(parameter -> parameter.value().dtype() == DType.Q8_0)
              .map(Parameter::name)
              .toList();
      assertEquals(
          List.of("layers.1.moe.experts.up.weight", "layers.2.moe.experts.up.weight"), rounded);
      ModelRunner.nextLogits(backend, model, 1, 2);
    }
  }

  @Test
  void nanIsRefusedByName() {
    save(config(96), "layers.1.moe.experts.down.weight");
    String message =
        assertThrows(
                CheckpointException.class,
                () -> load(backend, DType.FLOAT32, DType.Q4_0, new ArrayList<>()).close())
            .getMessage();
    assertTrue(message.contains("layers.1.moe.experts.0.down.weight cannot be held"), message);
    assertTrue(message.contains("NaN"), message);
  }

  /** A matrix of 64 k rows has no padding besides its blocks; the vocabulary is padded. */
  @Test
  void theForecastIsWhatIsHeld() {
    for (DType blocks : new DType[] {DType.Q8_0, DType.Q4_0}) {
      WeightTypes types = new WeightTypes(DType.FLOAT32, blocks);
      try (LanguageModel model = load(backend, DType.FLOAT32, blocks, new ArrayList<>())) {
        long saved =
            model.parameters().parameters().stream()
                .filter(parameter -> parameter.value().dtype().isBlocks())
                .filter(parameter -> parameter.part() != Parameter.Part.EMBEDDING)
                .mapToLong(parameter -> 4 * parameter.count() - parameter.value().bytes())
                .sum();
        long vocabulary = model.head().matrix().count(); // tied, one copy
        saved += 4 * vocabulary - DType.Q8_0.packedBytes(vocabulary);
        long floats = InferenceMemory.of(model.config(), WeightTypes.of(DType.FLOAT32)).weights();
        assertEquals(floats - saved, InferenceMemory.of(model.config(), types).weights());
        assertTrue(saved > 0.4 * floats, saved + " of " + floats);
      }
    }
  }
}
