package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.DoubleConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.abi.MemoryUsage;
import panamoe.backend.abi.NativeBackend;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.engine.schedule.ModelRunner;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter;
import panamoe.param.Weight;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A checkpoint opened for inference: its memory after and during loading. */
class StreamedLoadTest {
  @TempDir Path folder;

  private static ModelConfig config(int hidden, int inner, int experts, Activation activation) {
    return new UniformModel(
            new ByteTokenizer().vocabularySize(),
            16,
            hidden,
            new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                inner, activation, List.of(0, experts, experts / 2), true, GateConfig.dropless(1)),
            NormConfig.Kind.LAYER,
            true,
            0.2)
        .toConfig();
  }

  /** With head matrices in stacks that are loaded in several pieces. */
  private static ModelConfig latent() {
    ModelConfig whole = config(24, 70, 4, Activation.GELU_TANH);
    LatentAttentionConfig attention =
        new LatentAttentionConfig(
            new LatentAttentionConfig.Heads(70, 66, 50),
            new LatentAttentionConfig.Ranks(null, 40),
            new NormConfig(NormConfig.Kind.RMS, 1e-6),
            Rotary.whole(1e4, 4),
            null);
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

  private void save(Backend backend, LanguageModel model) {
    JsonNodeFactory json = JsonNodeFactory.instance;
    ObjectNode config = json.objectNode().set("model", ConfigJson.tree(model.config()));
    backend.synchronize();
    new CheckpointStore(folder, 1)
        .save(
            new CheckpointContents(
                1,
                config,
                json.objectNode(),
                model.config().experts(),
                ModelTensors.masters(model),
                Map.of()));
  }

  /** The bits of a randomly initialised model, packed from its float32 masters. */
  @EveryBackend
  void holdsTheBitsOfAModelThatWasPackedWhole(Backend backend) {
    for (ModelConfig config :
        List.of(
            config(24, 70, 4, Activation.GELU_TANH),
            config(24, 70, 4, Activation.SWIGLU),
            latent())) {
      for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
        try (LanguageModel drawn = new LanguageModel(config)) {
          drawn.materialize(backend, dtype, false, 5);
          save(backend, drawn);
          drawn.pack(backend, dtype);
          backend.synchronize();
          List<String> warnings = new ArrayList<>();
          try (LanguageModel loaded = ModelFolder.open(folder).load(backend, dtype, warnings)) {
            assertEquals(List.of(), warnings);
            assertSameBits(drawn, loaded);
            assertLogits(backend, drawn, loaded);
          }
        }
      }
    }
  }

  private static void assertSameBits(LanguageModel drawn, LanguageModel loaded) {
    List<Parameter> expected = drawn.parameters().parameters();
    List<Parameter> found = loaded.parameters().parameters();
    for (int i = 0; i < expected.size(); i++) {
      Tensor value = expected.get(i).value();
      Parameter parameter = found.get(i);
      assertEquals(value.dtype(), parameter.value().dtype(), parameter.name());
      assertEquals(
          -1,
          HostView.elements(value).mismatch(HostView.elements(parameter.value())),
          parameter.name());
      boolean operand = parameter.role() == Parameter.Role.OPERAND;
      assertEquals(operand, parameter.weight() instanceof Weight.Packed, parameter.name());
      assertNull(parameter.master());
    }
  }

  /** The head takes part in them, also a tied one. */
  private static void assertLogits(Backend backend, LanguageModel drawn, LanguageModel loaded) {
    int vocabulary = drawn.config().vocabulary();
    float[] expected = ModelRunner.nextLogits(backend, drawn, 7, 1, 200);
    float[] found = ModelRunner.nextLogits(backend, loaded, 7, 1, 200);
    for (int i = 0; i < vocabulary; i++) {
      assertEquals(Float.floatToIntBits(expected[i]), Float.floatToIntBits(found[i]));
    }
  }

  /** Staging uses the backend's memory too, so its allocator counts all of a load. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16"})
  void peakMemoryIsHardlyMoreThanWhatStays(DType dtype) {
    try (NativeBackend writer = NativeBackend.open("cpu", 2);
        LanguageModel drawn = new LanguageModel(config(256, 1024, 16, Activation.GELU_TANH))) {
      drawn.materialize(writer, DType.FLOAT32, false, 5);
      assertTrue(drawn.parameters().count() > 12 << 20, "tens of megabytes");
      save(writer, drawn);
    }
    try (NativeBackend backend = NativeBackend.open("cpu", 2);
        LanguageModel _ = ModelFolder.open(folder).load(backend, dtype, new ArrayList<>())) {
      MemoryUsage usage = backend.memoryUsage();
      assertTrue(usage.peak() <= 1.1 * usage.inUse(), usage.toString());
      assertTrue(usage.inUse() + usage.cached() <= 1.1 * usage.inUse(), usage.toString());
    }
  }

  @Test
  void anInterruptedLoadEndsAtOnceAndFreesItsMemory() {
    try (NativeBackend backend = NativeBackend.open("cpu", 1);
        LanguageModel drawn = new LanguageModel(config(24, 70, 4, Activation.SWIGLU))) {
      drawn.materialize(backend, DType.FLOAT32, false, 5);
      save(backend, drawn);
      long before = backend.memoryUsage().inUse();
      AtomicInteger pieces = new AtomicInteger();
      DoubleConsumer interrupting =
          _ -> {
            pieces.incrementAndGet();
            Thread.currentThread().interrupt();
          };
      ModelFolder opened = ModelFolder.open(folder);
      InferenceSettings settings = InferenceSettings.of(WeightTypes.of(DType.FLOAT32));
      assertThrows(
          CheckpointException.class,
          () -> opened.load(backend, settings, Ranks.alone(), new ArrayList<>(), interrupting));
      assertTrue(Thread.interrupted(), "the thread stays interrupted");
      assertEquals(1, pieces.get());
      assertEquals(before, backend.memoryUsage().inUse());
    }
  }
}
