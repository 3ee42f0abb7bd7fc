package panamoe.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.AdapterConfig;
import panamoe.config.BlockConfig;
import panamoe.config.EveryPart;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Noise;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.nn.Sequences;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Whole models on the reference backend: gradients against finite differences, and invariances. */
class LanguageModelTest {
  private static final int BATCH = 2;
  private static final int LENGTH = 5;

  static Stream<Arguments> architectures() {
    return Stream.of(
        Arguments.of(
            "dense",
            config(List.of(0, 0), false, null, Activation.GELU_TANH, NormConfig.Kind.LAYER, true)),
        Arguments.of(
            "top-1",
            config(
                List.of(0, 3),
                false,
                GateConfig.dropless(1),
                Activation.GELU,
                NormConfig.Kind.LAYER,
                true)),
        Arguments.of(
            "top-2 SwiGLU",
            config(
                List.of(3, 4),
                false,
                GateConfig.dropless(2),
                Activation.SWIGLU,
                NormConfig.Kind.RMS,
                false)),
        Arguments.of(
            "PR-MoE",
            config(
                List.of(2, 4),
                true,
                GateConfig.dropless(1),
                Activation.GELU_TANH,
                NormConfig.Kind.LAYER,
                true)),
        Arguments.of(
            "dropping",
            config(
                List.of(3, 3),
                true,
                GateConfig.deepSpeed(3, 0.7, 1),
                Activation.SILU,
                NormConfig.Kind.RMS,
                false)),
        Arguments.of("every part", EveryPart.model()));
  }

  private static ModelConfig config(
      List<Integer> experts,
      boolean residual,
      GateConfig gate,
      Activation activation,
      NormConfig.Kind norm,
      boolean learned) {
    return new UniformModel(
            11,
            8,
            8,
            new UniformModel.Attention(
                2,
                learned ? 2 : 1,
                learned ? UniformModel.Positions.LEARNED : UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(12, activation, experts, residual, gate),
            norm,
            learned,
            0.3)
        .toConfig();
  }

  /**
   * The objective of training: mean cross-entropy, plus the auxiliary losses with their
   * coefficients.
   */
  private static double objective(Backend backend, LanguageModel model, int[] ids, int[] targets) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      double[] balance = {0};
      List<BlockConfig> blocks = model.config().blocks();
      Pass pass =
          Pass.inference(backend, scope)
              .observedBy(
                  (layer, routes) -> {
                    MoeConfig moe = (MoeConfig) blocks.get(layer).feedForward();
                    GateConfig.Loss loss = moe.gate().loss();
                    balance[0] += loss.auxiliary() * routes.losses().getFloat(0);
                    balance[0] += loss.z() * routes.losses().getFloat(1);
                  });
      Tensor losses = losses(pass, model, ids, targets, 0, false);
      double sum = 0;
      for (float loss : losses.toFloats()) {
        sum += loss;
      }
      return sum / ids.length + balance[0];
    }
  }

  private static Tensor losses(
      Pass pass, LanguageModel model, int[] ids, int[] targets, float dloss, boolean recompute) {
    TensorScope scope = pass.scope();
    Tensor positions = scope.allocate(DType.INT32, ids.length);
    for (int i = 0; i < ids.length; i++) {
      positions.setInt(i, i % LENGTH);
    }
    Tensor hidden =
        model.forward(
            pass,
            scope.allocate(DType.INT32, ids.length).set(ids),
            new Sequences.Whole(ids.length / LENGTH, LENGTH, positions),
            null,
            recompute);
    return model
        .head()
        .losses(pass, hidden, scope.allocate(DType.INT32, ids.length).set(targets), dloss);
  }

  private static void backward(
      Backend backend, LanguageModel model, int[] ids, int[] targets, boolean recompute) {
    model.parameters().zeroGradients();
    addGradients(backend, model, ids, targets, recompute);
  }

  private static void addGradients(
      Backend backend, LanguageModel model, int[] ids, int[] targets, boolean recompute) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tape tape = new Tape(backend);
      model.parameters().watch(tape);
      losses(
          Pass.evaluation(backend, scope, tape), model, ids, targets, 1f / ids.length, recompute);
      tape.backward();
    }
  }

  private static int[] tokens(int seed) {
    return new Random(seed).ints(BATCH * LENGTH, 0, 11).toArray();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("architectures")
  void gradientsMatchFiniteDifferences(String name, ModelConfig config) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, true, 7);
      model.parameters().parameters().stream()
          .filter(parameter -> parameter.name().matches(".*\\.(scale|factors)"))
          .forEach(
              scale -> backend.fill(0.6f, scale.master())); // 1 could be left out of a backward
      assertDifferences(backend, model);
    }
  }

  /** Of a head of its own, and of latent attention's matrices and stacks of heads. */
  @Test
  void gradientsOfAdaptersMatchFiniteDifferences() {
    List<String> targets = List.of("layers.3.attention.*", "head");
    AdapterConfig config = new AdapterConfig(2, 0.5, false, 0, targets);
    try (Backend backend = new ReferenceBackend();
        LanguageModel drawn = new LanguageModel(EveryPart.model());
        LanguageModel model = new LanguageModel(EveryPart.model()).adapted(config)) {
      drawn.materialize(backend, DType.FLOAT32, true, 7);
      model.adapt(backend, WeightTypes.of(DType.FLOAT32), 7);
      for (Parameter from : drawn.parameters().parameters()) {
        Parameter to = named(model, from.name());
        if (to.value().packed()) {
          backend.pack(from.master(), to.value());
        } else {
          backend.copy(from.master(), to.value());
        }
      }
      Random random = new Random(5);
      for (Parameter factor : model.parameters().trained()) {
        for (int i = 0; i < factor.count(); i++) {
          factor.master().setFloat(i, 0.2f * (float) random.nextGaussian());
        }
      }
      List.of(
              "head.weight",
              "layers.3.attention.key_up.weight",
              "layers.3.attention.value_up.weight")
          .forEach(name -> assertNotNull(named(model, name).adapter(), name));
      assertDifferences(backend, model);
    }
  }

  private static Parameter named(LanguageModel model, String name) {
    return model.parameters().parameters().stream()
        .filter(parameter -> parameter.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  /** Of some elements of each trained parameter. */
  private static void assertDifferences(Backend backend, LanguageModel model) {
    int[] ids = tokens(1);
    int[] targets = tokens(2);
    backward(backend, model, ids, targets, false);
    Random random = new Random(3);
    for (Parameter parameter : model.parameters().trained()) {
      if (parameter.name().endsWith(".correction") || parameter.name().endsWith(".scale")) {
        continue; // one changes choices, the other is left as it is: neither has a gradient
      }
      for (int probe = 0; probe < 3; probe++) {
        long index = random.nextLong(parameter.count());
        float saved = parameter.master().getFloat(index);
        float step = 2e-3f; // small enough that no probe moves a token to another expert
        parameter.master().setFloat(index, saved + step);
        double above = objective(backend, model, ids, targets);
        parameter.master().setFloat(index, saved - step);
        double below = objective(backend, model, ids, targets);
        parameter.master().setFloat(index, saved);
        double expected = (above - below) / (2 * step);
        double actual = parameter.gradient().getFloat(index);
        assertEquals(
            expected,
            actual,
            2e-3 + 2e-2 * Math.abs(expected),
            parameter.name() + "[" + index + "]");
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("architectures")
  void recomputingChangesNoBit(String name, ModelConfig config) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, true, 7);
      backward(backend, model, tokens(1), tokens(2), false);
      List<float[]> kept =
          model.parameters().parameters().stream().map(p -> p.gradient().toFloats()).toList();
      backward(backend, model, tokens(1), tokens(2), true);
      for (int i = 0; i < kept.size(); i++) {
        Parameter parameter = model.parameters().parameters().get(i);
        assertArrayEquals(kept.get(i), parameter.gradient().toFloats(), parameter.name());
      }
    }
  }

  /**
   * Two backwards give equal gradients over memory full of NaN and over zeros, also for unused
   * parameters.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("architectures")
  void forgottenGradientsCountAsZero(String name, ModelConfig config) {
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, true, 7);
      List<Parameter> parameters = model.parameters().parameters();
      model.parameters().zeroGradients();
      addGradients(backend, model, tokens(1), tokens(2), false);
      addGradients(backend, model, tokens(3), tokens(4), true);
      List<float[]> expected = parameters.stream().map(p -> p.gradient().toFloats()).toList();
      parameters.forEach(p -> backend.fill(Float.NaN, p.gradient()));
      model.parameters().forgetGradients();
      addGradients(backend, model, tokens(1), tokens(2), false);
      addGradients(backend, model, tokens(3), tokens(4), true);
      model.parameters().completeGradients();
      for (int i = 0; i < expected.size(); i++) {
        assertArrayEquals(
            expected.get(i), parameters.get(i).gradient().toFloats(), parameters.get(i).name());
      }
      parameters.forEach(p -> backend.fill(Float.NaN, p.gradient()));
      model.parameters().forgetGradients();
      model.parameters().completeGradients();
      for (Parameter parameter : parameters) {
        assertArrayEquals(
            new float[(int) parameter.count()], parameter.gradient().toFloats(), parameter.name());
      }
    }
  }

  /** In the forward, and in the gradients of everything below. */
  @ParameterizedTest
  @EnumSource(Over.class)
  void aNormWithoutWeightsHasTheBitsOfWeightsOfOne(Over over) {
    NormConfig norm = new NormConfig(NormConfig.Kind.RMS, 1e-5);
    ModelConfig with =
        config(List.of(0, 0), false, null, Activation.SWIGLU, NormConfig.Kind.RMS, false);
    List<Map<String, float[]>> gradients = new ArrayList<>();
    for (boolean without : new boolean[] {false, true}) {
      ModelConfig normed =
          with.withBlocks(
              with.blocks().stream()
                  .map(
                      block ->
                          block.withAttention(
                              ((GroupedQueryConfig) block.attention())
                                  .with(new QueryKeyNorm(over, norm, without))))
                  .toList());
      try (Backend backend = Backends.open("cpu", 1);
          LanguageModel model = new LanguageModel(normed)) {
        model.materialize(backend, DType.FLOAT32, true, 7);
        backward(backend, model, tokens(1), tokens(2), false);
        gradients.add(
            model.parameters().parameters().stream()
                .filter(parameter -> !parameter.name().matches(".*attention.(query|key)_norm.*"))
                .collect(Collectors.toMap(Parameter::name, p -> p.gradient().toFloats())));
      }
    }
    assertEquals(gradients.get(0).keySet(), gradients.get(1).keySet());
    gradients
        .get(0)
        .forEach((name, values) -> assertArrayEquals(values, gradients.get(1).get(name), name));
  }

  @Test
  void expertsStartDifferent() {
    ModelConfig config =
        config(
            List.of(4),
            false,
            GateConfig.dropless(1),
            Activation.GELU,
            NormConfig.Kind.LAYER,
            true);
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, 7);
      Parameter up =
          model.parameters().parameters().stream()
              .filter(p -> p.name().equals("layers.0.moe.experts.up.weight"))
              .findFirst()
              .orElseThrow();
      float[] first = up.master().rows(0, 1).toFloats();
      float[] second = up.master().rows(1, 2).toFloats();
      int equal = 0;
      for (int i = 0; i < first.length; i++) {
        equal += first[i] == second[i] ? 1 : 0;
      }
      assertTrue(
          equal < first.length / 10,
          "experts 0 and 1 share " + equal + " of " + first.length + " weights");
    }
  }

  /** Weights are blamed only where a gate refuses numbers. */
  @Test
  void aRefusalThatIsNotAGatesIsNoFaultOfTheNumbers() {
    ModelConfig config =
        config(
            List.of(2),
            false,
            GateConfig.dropless(1),
            Activation.GELU,
            NormConfig.Kind.LAYER,
            true);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(config);
        TensorScope scope = TensorScope.confined(backend)) {
      model.materialize(backend, DType.FLOAT32, false, 7);
      Tensor ids = scope.zeros(DType.INT32, BATCH * LENGTH);
      Sequences longer = new Sequences.Whole(BATCH, LENGTH + 1, ids);
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class,
              () -> model.forward(Pass.inference(backend, scope), ids, longer, null, false));
      assertFalse(refusal instanceof NotFinite, refusal.getMessage());
    }
  }

  /** A pass that has used no random numbers goes on with the first. */
  @ParameterizedTest
  @EnumSource(Noise.class)
  void evaluationNeverDraws(Noise noise) {
    for (DropPolicy policy : DropPolicy.values()) {
      GateConfig gate =
          new GateConfig(
              2,
              false,
              Score.SOFTMAX,
              GateConfig.Choice.with(noise),
              GateConfig.RouteWeight.of(Normalization.CHOSEN),
              new GateConfig.Capacity(policy, 1, 1, 1, QueueOrder.TOKEN_MAJOR),
              new GateConfig.Loss(true, 0.01, 0));
      try (Backend backend = new ReferenceBackend();
          LanguageModel model =
              new LanguageModel(
                  config(List.of(3), false, gate, Activation.GELU, NormConfig.Kind.LAYER, true));
          TensorScope scope = TensorScope.confined(backend)) {
        model.materialize(backend, DType.FLOAT32, true, 7);
        float[] first = Pass.inference(backend, scope).uniform(8).toFloats();
        Pass evaluation = Pass.inference(backend, scope);
        losses(evaluation, model, tokens(1), tokens(2), 0, false);
        assertArrayEquals(first, evaluation.uniform(8).toFloats(), policy.toString());
        Pass training = Pass.training(backend, scope, new Tape(backend), 0, 1);
        losses(training, model, tokens(1), tokens(2), 1, false);
        boolean drew = !Arrays.equals(first, training.uniform(8).toFloats());
        assertEquals(noise != Noise.NONE || policy == DropPolicy.PRIORITY, drew, policy.toString());
      }
    }
  }
}
