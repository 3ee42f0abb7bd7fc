package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.engine.schedule.ModelRunner;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.JsonNodeFactory;

/** Layers whose experts are held in several formats. */
class ExpertFormatsTest {
  private static final int[] PROMPT = {7, 1, 200, 31, 5, 90, 0, 255};
  private static final DType[] FORMATS = {DType.Q8_0, DType.Q4_0, DType.FLOAT32, DType.Q5_0};

  private static final ModelConfig MODEL =
      new UniformModel(
              new ByteTokenizer().vocabularySize(),
              48,
              64,
              new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
              new UniformModel.FeedForward(
                  96, Activation.SWIGLU, List.of(0, 8), false, GateConfig.dropless(2)),
              NormConfig.Kind.LAYER,
              true,
              0.3)
          .toConfig();

  @TempDir private Path folder;

  private final Backend cpu = Backends.open("cpu", 2);

  @BeforeEach
  void save() {
    try (LanguageModel drawn = new LanguageModel(MODEL)) {
      drawn.materialize(cpu, DType.FLOAT32, false, 5);
      JsonNodeFactory json = JsonNodeFactory.instance;
      new CheckpointStore(folder, 1)
          .save(
              new CheckpointContents(
                  1,
                  json.objectNode().set("model", ConfigJson.tree(MODEL)),
                  json.objectNode(),
                  MODEL.experts(),
                  ModelTensors.masters(drawn),
                  Map.of()));
    }
  }

  @AfterEach
  void close() {
    cpu.close();
  }

  /** Neighbours differ, except experts 4 to 7. */
  private static DType format(QuantizedMatrix matrix) {
    return FORMATS[(matrix.expert() > 4 ? 4 : matrix.expert()) % FORMATS.length];
  }

  private static List<QuantizedMatrix> matricesOfExperts() {
    return ModelTensors.quantizedMatrices(MODEL).stream().filter(it -> it.expert() >= 0).toList();
  }

  private static WeightTypes several() {
    Map<String, DType> stored = new HashMap<>();
    matricesOfExperts().forEach(it -> stored.put(it.name(), format(it)));
    return new WeightTypes(DType.FLOAT32, DType.FLOAT32, stored, false);
  }

  private LanguageModel load(Backend on, WeightTypes types) {
    return ModelFolder.open(folder).load(on, InferenceSettings.of(types), new ArrayList<>());
  }

  private static List<Parameter> experts(LanguageModel model) {
    return model.parameters().parameters().stream().filter(WeightTypes::isExpert).toList();
  }

  private static byte[] bytes(Tensor tensor) {
    return HostView.elements(tensor).toArray(ValueLayout.JAVA_BYTE);
  }

  /** Each matrix has the bytes that it has beside others of its format. */
  @ParameterizedTest
  @ValueSource(strings = {"cpu", "simt"})
  void eachMatrixIsPackedInItsFormat(String device) {
    assumeTrue(System.getProperty("panamoe.test.backends", device).contains(device));
    Map<DType, LanguageModel> alike = new HashMap<>();
    try (Backend on = Backends.open(device, 1);
        LanguageModel model = load(on, several())) {
      for (DType format : FORMATS) {
        WeightTypes one = new WeightTypes(DType.FLOAT32, format);
        alike.put(format, load(on, one));
      }
      for (QuantizedMatrix matrix : matricesOfExperts()) {
        int index = matrix.name().contains(".up.") ? 0 : 1;
        Tensor own = on.packedMatrix(experts(model).get(index).value(), matrix.expert());
        assertEquals(format(matrix), own.dtype());
        Tensor stack = experts(alike.get(own.dtype())).get(index).value();
        assertArrayEquals(bytes(on.packedMatrix(stack, matrix.expert())), bytes(own));
      }
      alike.values().forEach(LanguageModel::close);
    }
  }

  @Test
  void logitsAreThoseOfTheReference() {
    try (Backend reference = new ReferenceBackend();
        LanguageModel here = load(cpu, several());
        LanguageModel there = load(reference, several());
        LanguageModel floats = load(cpu, WeightTypes.of(DType.FLOAT32))) {
      float[] found = ModelRunner.nextLogits(cpu, here, PROMPT);
      float[] expected = ModelRunner.nextLogits(reference, there, PROMPT);
      assertArrayEquals(expected, found, 0.02f * largest(expected));
      float[] exact = ModelRunner.nextLogits(cpu, floats, PROMPT);
      assertArrayEquals(exact, found, 0.1f * largest(exact));
    }
  }

  private static float largest(float[] values) {
    float largest = 0;
    for (float value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  /** Only the embedding is padded, to whole panels of rows. */
  @Test
  void theForecastIsWhatIsHeld() {
    WeightTypes types = several();
    long elements = 64 * 96 * 3L;
    long bytes = 0;
    long most = 0;
    for (int expert = 0; expert < 8; expert++) {
      long own = FORMATS[(expert > 4 ? 4 : expert) % FORMATS.length].packedBytes(elements);
      bytes += own;
      most += expert == 2 || expert > 4 ? own : 0; // float32 and three of Q8_0
    }
    try (LanguageModel model = load(cpu, types)) {
      assertEquals(
          bytes, experts(model).stream().mapToLong(parameter -> parameter.value().bytes()).sum());
      long rest = InferenceMemory.of(MODEL, WeightTypes.of(DType.FLOAT32)).weights();
      rest -= 4 * 8 * elements;
      assertEquals(rest + bytes, InferenceMemory.of(MODEL, types).weights());
      Topology two = new Topology(2, 2, 1, 1);
      InferenceMemory half = InferenceMemory.of(model, types, DType.FLOAT32, 1, true, two);
      long biases = 4 * 4 * (2 * 96 + 64); // of four experts
      assertEquals(rest - biases + most, half.weights(), "of a rank with the largest experts");
      assertTrue(types.quantized());
    }
  }

  /** With memory for two experts. */
  @Test
  void expertsOnADiskGiveTheSameBits() {
    WeightTypes types = several();
    try (LanguageModel whole = load(cpu, types)) {
      long resident =
          InferenceMemory.ofRank(whole, types)
              - experts(whole).stream().mapToLong(types::packedBytes).sum();
      long memory = resident + 3 * 4 * 64 * 96 * 2;
      InferenceSettings little =
          new InferenceSettings(types, memory, folder.resolve("cache"), List.of());
      try (LanguageModel read = ModelFolder.open(folder).load(cpu, little, new ArrayList<>())) {
        assertTrue(read.parameters().expertCache().orElseThrow().statistics().slots() < 8);
        assertArrayEquals(
            ModelRunner.nextLogits(cpu, whole, PROMPT), ModelRunner.nextLogits(cpu, read, PROMPT));
      }
    }
  }
}
