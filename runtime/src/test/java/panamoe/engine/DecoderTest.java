package panamoe.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
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
import panamoe.model.LanguageModel;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.BackendsUnderTest;
import panamoe.testkit.ScarceMemory;

/**
 * Decoding with a cache: the logits of a whole forward, and bits that no neighbour and no thread
 * changes.
 */
class DecoderTest {
  private static final int VOCABULARY = 37;
  private static final int CONTEXT = 24;
  private static final int BLOCK = 5;

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
            2,
            keyValueHeads,
            48,
            List.of(0, 5),
            residual,
            gate,
            activation,
            norm,
            positions,
            residual,
            0.2)
        .toConfig();
  }

  private static int[] tokens(long seed, int count) {
    return new Random(seed).ints(count, 0, VOCABULARY).toArray();
  }

  private static LanguageModel model(Backend backend, ModelConfig config, DType dtype) {
    LanguageModel model = new LanguageModel(config);
    model.materialize(backend, dtype, false, 3);
    model.pack(backend, dtype);
    return model;
  }

  /** Where memory ends in the middle of a constructor, nobody has anything to close. */
  @Test
  void givesBackWhatItHasWhenMemoryEnds() {
    ModelConfig config = models().findFirst().orElseThrow();
    try (ReferenceBackend backend = new ReferenceBackend();
        LanguageModel model = model(backend, config, DType.FLOAT32)) {
      for (int allocations = 0; allocations < 2 * config.layers() + 3; allocations++) {
        ScarceMemory memory = new ScarceMemory(backend, allocations);
        assertThrows(
            OutOfMemoryError.class, () -> new Decoder(memory.backend(), model, 1, CONTEXT));
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
    for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      try (LanguageModel model = model(backend, config, dtype);
          Decoder decoder = new Decoder(backend, model, 2, CONTEXT)) {
        int[] tokens = tokens(1, 9);
        float[] whole = new float[VOCABULARY];
        float[] stepwise = new float[VOCABULARY];
        decoder.prefill(0, 0, tokens, whole);
        for (int i = 0; i < tokens.length; i++) {
          decoder.step(1, i, tokens[i], stepwise);
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
        Decoder decoder = new Decoder(backend, model, 1, CONTEXT);
        TensorScope scope = TensorScope.confined(backend)) {
      int[] tokens = tokens(2, CONTEXT);
      float[] decoded = new float[VOCABULARY];
      decoder.prefill(0, 0, tokens, decoded);
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
      float[] expected = model.logits(pass, hidden.rows(CONTEXT - 1, CONTEXT)).toFloats();
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
          Decoder decoder = new Decoder(backend, model, 1, CONTEXT);
          TensorScope scope = TensorScope.confined(backend)) {
        float[] alone = new float[VOCABULARY];
        decoder.prefill(0, 0, tokens(5, 7), alone);
        decoder.step(0, 7, 11, alone);
        results.add(alone);
        int width = (CONTEXT + BLOCK - 1) / BLOCK;
        KeyValueCache cache = model.cache(scope, 9L * width, BLOCK);
        int[] blocks = IntStream.range(0, 9 * width).map(i -> 9 * width - 1 - i).toArray();
        Tensor table = ids(scope, blocks).reshape(9, width);
        int[] slots = new int[9];
        int[] starts = new int[9];
        int[] next = new int[9];
        for (int slot = 0; slot < 9; slot++) {
          boolean ours = slot == 4;
          slots[slot] = slot;
          starts[slot] = ours ? 7 : 3 + slot;
          next[slot] = ours ? 11 : slot;
          int[] same = new int[starts[slot]];
          Arrays.fill(same, slot);
          int[] positions = IntStream.range(0, starts[slot]).toArray();
          logits(
              backend,
              scope,
              model,
              cache,
              table,
              same,
              positions,
              tokens(ours ? 5 : 50 + slot, starts[slot]));
        }
        results.add(
            logits(backend, scope, model, cache, table, slots, starts, next).rows(4, 5).toFloats());
      }
    }
    results.forEach(result -> assertArrayEquals(results.getFirst(), result, 0f));
  }

  /** Logits [S, V] after tokens that belong to the sequences of {@code slots}, in one pass. */
  private static Tensor logits(
      Backend backend,
      TensorScope scope,
      LanguageModel model,
      KeyValueCache cache,
      Tensor table,
      int[] slots,
      int[] positions,
      int[] tokens) {
    Pass pass = Pass.inference(backend, scope);
    Sequences sequences =
        new Sequences.Running(cache, table, ids(scope, slots), ids(scope, positions));
    Tensor logits =
        model.logits(pass, model.forward(pass, ids(scope, tokens), sequences, null, false));
    backend.synchronize();
    return logits;
  }

  private static Tensor ids(TensorScope scope, int[] values) {
    return scope.allocate(DType.INT32, values.length).set(values);
  }

  @Test
  void refusesPositionsPastTheCache() {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = model(backend, models().findFirst().orElseThrow(), DType.FLOAT32);
        Decoder decoder = new Decoder(backend, model, 1, 4)) {
      float[] logits = new float[VOCABULARY];
      assertThrows(
          IllegalArgumentException.class, () -> decoder.prefill(0, 0, tokens(1, 5), logits));
      assertThrows(IllegalArgumentException.class, () -> decoder.step(0, 4, 1, logits));
      assertThrows(
          IllegalArgumentException.class, () -> new Decoder(backend, model, 1, CONTEXT + 1));
      assertEquals(4, decoder.capacity());
    }
  }
}
