package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.engine.EngineConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.BackendsUnderTest;
import panamoe.testkit.ScarceMemory;

/**
 * Decoding with a cache gives the logits of a full forward, with bits that depend on no other row
 * and no thread.
 */
class ModelRunnerTest {
  private static final int VOCABULARY = 37;
  private static final int CONTEXT = 24;

  static Stream<ModelConfig> models() {
    return Stream.of(
        config(
            2,
            GateConfig.dropless(1),
            Activation.GELU_TANH,
            NormConfig.Kind.LAYER,
            UniformModel.Positions.LEARNED,
            true),
        config(
            1,
            GateConfig.dropless(2),
            Activation.SWIGLU,
            NormConfig.Kind.RMS,
            UniformModel.Positions.ROTARY,
            false));
  }

  private static ModelConfig config(
      int keyValueHeads,
      GateConfig gate,
      Activation activation,
      NormConfig.Kind norm,
      UniformModel.Positions positions,
      boolean residual) {
    return new UniformModel(
            VOCABULARY,
            CONTEXT,
            32,
            new UniformModel.Attention(2, keyValueHeads, positions),
            new UniformModel.FeedForward(48, activation, List.of(0, 5), residual, gate),
            norm,
            residual,
            0.2)
        .toConfig();
  }

  private static int[] tokens(long seed, int count) {
    return new Random(seed).ints(count, 0, VOCABULARY).toArray();
  }

  /** A runner whose slots have the cache's blocks in reverse order. */
  private static final class Run implements AutoCloseable {
    private static final int BLOCK = 4;
    private static final int WIDTH = Math.ceilDiv(CONTEXT, BLOCK);

    private final ModelRunner runner;
    private final StepRows rows = new StepRows(200);

    Run(Backend backend, LanguageModel model, int slots) {
      this(backend, model, slots, false);
    }

    Run(Backend backend, LanguageModel model, int slots, boolean int8) {
      runner =
          new ModelRunner(
              backend, model, new EngineConfig(slots * WIDTH, BLOCK, slots, 200, 0, true, 0, int8));
      for (int block = 0; block < slots * WIDTH; block++) {
        rows.change(block % slots, block / slots, slots * WIDTH - 1 - block);
      }
    }

    /**
     * The logits after the last of {@code tokens}, which start at {@code start} in {@code slot}.
     */
    float[] after(int slot, int start, int... tokens) {
      for (int i = 0; i < tokens.length; i++) {
        rows.add(tokens[i], slot, start + i);
      }
      return logits(rows.want());
    }

    /** Computes the rows; the logits of one that is wanted. */
    float[] logits(int wanted) {
      float[] logits = new float[VOCABULARY];
      runner.run(rows);
      rows.clear();
      runner.logits(wanted, logits);
      return logits;
    }

    @Override
    public void close() {
      runner.close();
    }
  }

  private static LanguageModel model(Backend backend, ModelConfig config, DType dtype) {
    LanguageModel model = new LanguageModel(config);
    model.materialize(backend, dtype, false, 3);
    model.pack(backend, dtype);
    return model;
  }

  /** If memory ends within a constructor, the caller has nothing to close. */
  @Test
  void givesBackWhatItHasWhenMemoryEnds() {
    ModelConfig config = models().findFirst().orElseThrow();
    try (ReferenceBackend backend = new ReferenceBackend();
        LanguageModel model = model(backend, config, DType.FLOAT32)) {
      for (int allocations = 0; allocations < 2 * config.layers() + 1; allocations++) {
        ScarceMemory memory = new ScarceMemory(backend, allocations);
        assertThrows(
            OutOfMemoryError.class,
            () -> new ModelRunner(memory.backend(), model, EngineConfig.one(CONTEXT)));
        assertEquals(0, memory.held());
      }
    }
  }

  static Stream<Arguments> modelsOnNatives() {
    return models()
        .flatMap(
            config -> BackendsUnderTest.natives().map(backend -> Arguments.of(backend, config)));
  }

  @ParameterizedTest
  @MethodSource("modelsOnNatives")
  void stepsEqualThePrefillBitForBit(Backend backend, ModelConfig config) {
    for (int variant = 0; variant < 4; variant++) {
      DType dtype = variant % 2 == 0 ? DType.FLOAT32 : DType.BFLOAT16;
      try (LanguageModel model = model(backend, config, dtype);
          Run run = new Run(backend, model, 2, variant >= 2)) {
        int[] tokens = tokens(1, 9);
        float[] whole = run.after(0, 0, tokens);
        float[] stepwise = null;
        for (int i = 0; i < tokens.length; i++) { // the first directly, the others by replay
          stepwise = run.after(1, i, tokens[i]);
        }
        assertArrayEquals(whole, stepwise, 0f, dtype.toString());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("models")
  void logitsAgreeWithTheForwardOfWholeSequences(ModelConfig config) {
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = model(backend, config, DType.FLOAT32);
        TensorScope scope = TensorScope.confined(backend)) {
      int[] tokens = tokens(2, CONTEXT);
      float[] decoded = ModelRunner.nextLogits(backend, model, tokens);
      Tensor positions = scope.allocate(DType.INT32, CONTEXT);
      for (int i = 0; i < CONTEXT; i++) {
        positions.setInt(i, i);
      }
      Pass pass = Pass.inference(backend, scope);
      Tensor hidden =
          model.forward(
              pass,
              scope.allocate(DType.INT32, CONTEXT).set(tokens),
              new Sequences.Whole(1, CONTEXT, positions),
              null,
              false);
      float[] expected = model.head().logits(pass, hidden.rows(CONTEXT - 1, CONTEXT)).toFloats();
      assertArrayEquals(expected, decoded, 2e-5f);
    }
  }

  @ParameterizedTest
  @MethodSource("models")
  void aBatchAndThreadsChangeNoBit(ModelConfig config) {
    List<float[]> results = new ArrayList<>();
    for (int threads : new int[] {1, 2, 3}) {
      try (Backend backend = Backends.open("cpu", threads);
          LanguageModel model = model(backend, config, DType.BFLOAT16);
          Run run = new Run(backend, model, 9)) {
        run.after(0, 0, tokens(5, 7));
        results.add(run.after(0, 7, 11));
        results.add(ModelRunner.nextLogits(backend, model, append(tokens(5, 7), 11)));
        for (int slot = 0; slot < 9; slot++) {
          run.after(slot, 0, slot == 4 ? tokens(5, 7) : tokens(50 + slot, 3 + slot));
        }
        for (int turn = 0; turn < 3; turn++) { // computed, captured, replayed
          int wanted = -1;
          for (int slot = 0; slot < 9; slot++) {
            run.rows.add(slot == 4 ? 11 : slot, slot, slot == 4 ? 7 : 3 + slot);
            int number = run.rows.want();
            wanted = slot == 4 ? number : wanted;
          }
          results.add(run.logits(wanted));
        }
        int[] chunk = tokens(70, 5);
        for (int i = 0; i < 5; i++) { // another prompt, without wanted logits
          run.rows.add(chunk[i], 1, 4 + i);
        }
        results.add(run.after(4, 7, 11));
      }
    }
    results.forEach(result -> assertArrayEquals(results.getFirst(), result, 0f));
  }

  private static int[] append(int[] tokens, int last) {
    int[] all = Arrays.copyOf(tokens, tokens.length + 1);
    all[tokens.length] = last;
    return all;
  }

  @Test
  void refusesWhatHasNoPlace() {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = model(backend, models().findFirst().orElseThrow(), DType.FLOAT32);
        Run run = new Run(backend, model, 1)) {
      assertThrows(IllegalArgumentException.class, () -> run.after(0, CONTEXT, 1));
      run.rows.clear();
      assertThrows(IllegalArgumentException.class, () -> run.after(1, 0, 1));
      run.rows.clear();
      assertThrows(IllegalArgumentException.class, () -> run.after(0, 0, VOCABULARY));
      run.rows.clear();
      assertArrayEquals(ModelRunner.nextLogits(backend, model, 1), run.after(0, 0, 1), 0f);
    }
  }
}
