package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * What a step of training computes is what the engine computes: the forward's logits have the bits
 * of prefill and of decode, on any number of threads, whatever else is in the batch.
 */
class TrainedLogitsTest {
  private static final int VOCABULARY = 37;
  private static final int LENGTH = 150; // more than a tile of keys
  private static final int INNER = 600; // more than a GEMM's block of K
  private static final long SEED = 3;

  /** Two layers; {@code experts} of each, 0 for a dense one. */
  private static ModelConfig config(int topK, boolean residual, Integer... experts) {
    boolean gated = topK > 1;
    return new UniformModel(
            VOCABULARY,
            LENGTH,
            64,
            new UniformModel.Attention(
                4,
                gated ? 2 : 4,
                gated ? UniformModel.Positions.ROTARY : UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                INNER,
                gated ? Activation.SWIGLU : Activation.GELU_TANH,
                List.of(experts),
                residual,
                experts[1] == 0 ? null : GateConfig.dropless(topK)),
            gated ? NormConfig.Kind.RMS : NormConfig.Kind.LAYER,
            !gated,
            0.1)
        .toConfig();
  }

  static Stream<Arguments> models() {
    return Stream.of(DType.FLOAT32, DType.BFLOAT16)
        .flatMap(
            dtype ->
                Stream.of(
                    Arguments.of("dense", config(1, false, 0, 0), dtype),
                    Arguments.of("MoE", config(1, false, 0, 5), dtype),
                    Arguments.of("MoE, top-2", config(2, false, 5, 5), dtype),
                    Arguments.of("PR-MoE", config(1, true, 3, 6), dtype)));
  }

  private static int[] tokens(long seed, int count) {
    return new Random(seed).ints(count, 0, VOCABULARY).toArray();
  }

  private static LanguageModel model(Backend backend, ModelConfig config, DType dtype) {
    LanguageModel model = new LanguageModel(config);
    model.materialize(backend, dtype, true, SEED);
    return model;
  }

  /** Logits [S, V] of the forward of a training step over sequences of LENGTH tokens. */
  private static float[] trained(Backend backend, LanguageModel model, int... tokens) {
    return trained(
        backend, model, (pass, hidden) -> model.head().logits(pass, hidden).toFloats(), tokens);
  }

  /** Losses [S] of the next tokens in that step; the last one is undefined. */
  private static float[] losses(Backend backend, LanguageModel model, int... tokens) {
    int[] next = Arrays.copyOfRange(tokens, 1, tokens.length + 1);
    return trained(
        backend,
        model,
        (pass, hidden) -> {
          Tensor targets = pass.allocate(DType.INT32, next.length).set(next);
          return model.head().losses(pass, hidden, targets, 1).toFloats();
        },
        tokens);
  }

  private static float[] trained(
      Backend backend, LanguageModel model, BiFunction<Pass, Tensor, float[]> head, int... tokens) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tape tape = new Tape(backend);
      model.parameters().watch(tape);
      Pass pass = Pass.training(backend, scope, tape, SEED, 1);
      Tensor ids = scope.allocate(DType.INT32, tokens.length).set(tokens);
      Sequences whole = Sequences.Whole.of(scope, tokens.length, LENGTH);
      Tensor hidden = model.forward(pass, ids, whole, null, false);
      return head.apply(pass, hidden);
    }
  }

  private static float[] rows(float[] logits, int from, int to) {
    return Arrays.copyOfRange(logits, from * VOCABULARY, to * VOCABULARY);
  }

  @ParameterizedTest(name = "{0} {2}")
  @MethodSource("models")
  void haveTheBitsOfPrefillAndDecode(String name, ModelConfig config, DType dtype) {
    int[] tokens = tokens(6, LENGTH);
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = model(backend, config, dtype)) {
      float[] expected = trained(backend, model, tokens);
      float[] losses = losses(backend, model, tokens);
      model.pack(backend, dtype);
      for (int count : new int[] {1, 2, 65, LENGTH}) {
        float[] prefilled = ModelRunner.nextLogits(backend, model, Arrays.copyOf(tokens, count));
        assertArrayEquals(
            rows(expected, count - 1, count), prefilled, 0f, "prefill of " + count + " tokens");
      }
      EngineConfig one = EngineConfig.one(LENGTH);
      try (ModelRunner runner = new ModelRunner(backend, model, one)) {
        StepRows rows = new StepRows(1);
        for (int block = 0; block < one.blocks(); block++) {
          rows.change(0, block, one.blocks() - 1 - block);
        }
        float[] decoded = new float[VOCABULARY];
        for (int i = 0; i < LENGTH; i++) { // the third and later ones are replays
          rows.add(tokens[i], 0, i);
          int wanted = rows.want();
          runner.run(rows);
          rows.clear();
          runner.logits(wanted, decoded);
          assertArrayEquals(rows(expected, i, i + 1), decoded, 0f, "decode of token " + i);
        }
      }
      assertScored(backend, model, tokens, expected, losses);
    }
  }

  /**
   * The log probabilities of a prompt, in chunks of as many rows, are those of these logits and
   * losses.
   */
  private static void assertScored(
      Backend backend, LanguageModel model, int[] tokens, float[] expected, float[] losses) {
    EngineConfig chunks = new EngineConfig(10, 16, 1, 32, 0, true, 0);
    ListenerLog log = new ListenerLog();
    try (Engine engine = new Engine(backend, model, new ByteTokenizer(), chunks)) {
      engine.submit(
          GenerationRequest.of(tokens, SamplingConfig.GREEDY, StopConfig.of(0, List.of()))
              .withLogprobs(2)
              .with(Readout.LOGPROBS),
          log);
      while (engine.step()) {}
    }
    List<Long> bits = new ArrayList<>();
    int[] next = Arrays.copyOfRange(tokens, 1, LENGTH);
    for (TokenLogprobs each : TokenLogprobs.of(backend, rows(expected, 0, LENGTH - 1), next, 2)) {
      assertEquals(-losses[bits.size() / 3], (float) each.logprob());
      bits.addAll(ListenerLog.bits(each));
    }
    assertEquals(bits, log.promptBits);
  }

  @ParameterizedTest(name = "{0} {2}")
  @MethodSource("models")
  void dependOnNoOtherSequenceAndNoThread(String name, ModelConfig config, DType dtype) {
    int[] tokens = tokens(7, LENGTH);
    float[] expected = null;
    for (int threads : new int[] {1, 2, 3}) {
      try (Backend backend = Backends.open("cpu", threads);
          LanguageModel model = model(backend, config, dtype)) {
        float[] alone = trained(backend, model, tokens);
        expected = expected == null ? alone : expected;
        assertArrayEquals(expected, alone, 0f, threads + " threads");
        for (int batch : new int[] {2, 5}) {
          int[] all = tokens(8, batch * LENGTH);
          int own = batch / 2 * LENGTH;
          System.arraycopy(tokens, 0, all, own, LENGTH);
          float[] together = trained(backend, model, all);
          assertArrayEquals(
              expected, rows(together, own, own + LENGTH), 0f, "one of " + batch + " sequences");
        }
      }
    }
  }
}
