package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.EveryPart;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * On every {@link Topology} a model computes what one rank computes: outputs, losses of the gates,
 * and every gradient.
 */
class TopologyEquivalenceTest {
  private static final int BATCH = 8;
  private static final int LENGTH = 4;
  private static final int VOCABULARY = 16;

  private static final GateConfig WITH_Z = withZ(GateConfig.dropless(1), GateConfig.Noise.NONE);
  private static final GateConfig NOISY = withZ(GateConfig.dropless(2), GateConfig.Noise.GUMBEL);

  private static final ModelConfig TOP_1 =
      config(
          List.of(0, 4),
          false,
          GateConfig.dropless(1),
          Activation.GELU_TANH,
          4,
          NormConfig.Kind.LAYER,
          true);
  private static final ModelConfig PYRAMID_RESIDUAL =
      config(List.of(4, 8), true, WITH_Z, Activation.GELU_TANH, 4, NormConfig.Kind.LAYER, true);
  private static final ModelConfig UNEVEN = uneven(2);

  private static ModelConfig uneven(int keyValueHeads) {
    return config(
        List.of(3, 6), false, NOISY, Activation.SWIGLU, keyValueHeads, NormConfig.Kind.RMS, false);
  }

  private static ModelConfig composed(Topology topology) {
    return EveryPart.sliceable(topology.tensorDegree());
  }

  private static GateConfig withZ(GateConfig gate, GateConfig.Noise noise) {
    return gate.withChoice(GateConfig.Choice.with(noise))
        .withLoss(new GateConfig.Loss(gate.loss().overAllChoices(), 0.5, 0.1));
  }

  private static ModelConfig config(
      List<Integer> experts,
      boolean residual,
      GateConfig gate,
      Activation activation,
      int keyValueHeads,
      NormConfig.Kind norm,
      boolean bias) {
    return new UniformModel(
            VOCABULARY,
            LENGTH,
            16,
            new UniformModel.Attention(
                4,
                keyValueHeads,
                bias ? UniformModel.Positions.LEARNED : UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(20, activation, experts, residual, gate),
            norm,
            bias,
            0.3)
        .toConfig();
  }

  /** The results of one rank, or of all ranks. */
  private record Outcome(float[] losses, float[] gateLosses, Map<String, float[]> gradients) {}

  private static final Map<ModelConfig, Outcome> ON_ONE_RANK = new HashMap<>();

  static Stream<Topology> topologies() {
    List<Topology> topologies = new ArrayList<>();
    for (int ranks : new int[] {1, 2, 4, 8}) {
      for (int tensor = 1; tensor <= Math.min(2, ranks); tensor++) {
        for (int slices = 1; slices <= tensor; slices++) {
          for (int expert = 1; expert <= ranks / slices; expert *= 2) {
            topologies.add(new Topology(ranks, expert, tensor, slices));
          }
        }
      }
    }
    for (int expert : new int[] {1, 2, 4}) {
      topologies.add(new Topology(8, expert, 4, 2));
    }
    topologies.add(new Topology(8, 8, 4, 1));
    topologies.add(new Topology(16, 8, 4, 2)); // DeepSpeed-MoE figure 7
    return topologies.stream();
  }

  /** Models without gates that drop: data ranks change what is dropped. */
  private static List<ModelConfig> models(Topology topology) {
    return List.of(
        TOP_1,
        PYRAMID_RESIDUAL,
        uneven(Math.max(2, topology.tensorDegree())),
        composed(topology).withGates(GateConfig::withoutDropping));
  }

  /** The ranks recompute activations; those with padding keep them. */
  @ParameterizedTest
  @MethodSource("topologies")
  void forwardAndGradientsEqualThoseOfOneRank(Topology topology) {
    for (ModelConfig config : models(topology)) {
      Outcome one = onOneRank(config);
      assertEqual(one, train(config, topology, true));
      if (topology.ranks() <= 4) {
        assertEqual(one, train(config, topology, false));
      }
    }
  }

  private static Outcome onOneRank(ModelConfig config) {
    return ON_ONE_RANK.computeIfAbsent(config, each -> train(each, Topology.ONE, false));
  }

  private static void assertEqual(Outcome one, Outcome all) {
    assertArrayEquals(one.losses, all.losses, 1e-5f);
    assertArrayEquals(one.gateLosses, all.gateLosses, 1e-5f);
    assertEquals(one.gradients.keySet(), all.gradients.keySet());
    one.gradients.forEach(
        (name, gradient) -> assertArrayEquals(gradient, all.gradients.get(name), 1e-5f, name));
  }

  /** Without data ranks, gates drop the routes that they drop on one rank. */
  @ParameterizedTest
  @CsvSource({"2,1,1", "2,2,1", "2,1,2", "4,1,2", "4,2,2"})
  void tensorRanksDropWhatOneRankDrops(int tensor, int expert, int slices) {
    Topology topology = new Topology(tensor, expert, tensor, slices);
    ModelConfig config = composed(topology);
    assertEqual(onOneRank(config), train(config, topology, false));
  }

  /** The last sequences are mostly padding, so that ranks have unequal numbers of used tokens. */
  @ParameterizedTest
  @MethodSource("topologies")
  void ranksWithPaddingHaveTheGradientsOfOneRank(Topology topology) {
    for (ModelConfig config : models(topology)) {
      assertEqual(trainPadded(config, Topology.ONE), trainPadded(config, topology));
    }
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void inferenceEqualsThatOfOneRankBitForBit(Topology topology) {
    for (ModelConfig config : models(topology)) {
      float[] one = infer(config, Topology.ONE);
      float[] all = infer(config, topology);
      // Tensor slices add parts of a sum, which rounds differently; experts on other ranks change
      // no rounding.
      assertArrayEquals(one, all, topology.tensorDegree() == 1 ? 0 : 1e-5f);
    }
  }

  /** Two nodes of two ranks: hierarchical and direct exchange deliver equal rows. */
  @Test
  void hierarchicalExchangeChangesNoBit() {
    Topology topology = Topology.of(4);
    ThreadWorld nodes = ThreadWorld.of(2, 2);
    for (ModelConfig config : List.of(PYRAMID_RESIDUAL, UNEVEN)) {
      assertArrayEquals(
          infer(config, Topology.ONE),
          infer(config, topology, nodes, Strategy.HIERARCHICAL, Overlap.NONE));
    }
  }

  static Stream<Topology> topologiesThatExchange() {
    return Stream.of(
        Topology.of(2),
        Topology.of(4),
        new Topology(8, 4, 1, 1),
        new Topology(4, 2, 2, 1),
        new Topology(8, 4, 2, 2),
        new Topology(8, 4, 4, 2));
  }

  @ParameterizedTest
  @MethodSource("topologiesThatExchange")
  void rowsThatTravelWhileTheRankComputesAreTheSameBits(Topology topology) {
    for (ModelConfig config : List.of(PYRAMID_RESIDUAL, models(topology).get(2))) {
      Outcome whole = train(config, topology, Overlap.NONE, false);
      for (int parts : new int[] {1, 3}) {
        for (boolean recompute : new boolean[] {false, true}) {
          Outcome waiting = train(config, topology, new Overlap(false, parts), recompute);
          Outcome overlapped = train(config, topology, new Overlap(true, parts), recompute);
          assertArrayEquals(waiting.losses, overlapped.losses);
          assertArrayEquals(whole.losses, overlapped.losses);
          assertArrayEquals(whole.gateLosses, overlapped.gateLosses);
          waiting.gradients.forEach(
              (name, gradient) ->
                  assertArrayEquals(gradient, overlapped.gradients.get(name), name));
          // Experts sum their weights' gradients by part; no other order of adding changes.
          whole.gradients.forEach(
              (name, gradient) ->
                  assertArrayEquals(
                      gradient, overlapped.gradients.get(name), parts == 1 ? 0 : 1e-6f, name));
        }
      }
    }
  }

  @Test
  void partsTravelByWayOfTheNodesToo() {
    Topology topology = Topology.of(4);
    ThreadWorld nodes = ThreadWorld.of(2, 2);
    for (ModelConfig config : List.of(PYRAMID_RESIDUAL, UNEVEN)) {
      assertArrayEquals(
          infer(config, Topology.ONE),
          infer(config, topology, nodes, Strategy.HIERARCHICAL, new Overlap(true, 2)));
    }
  }

  private static float[] infer(ModelConfig config, Topology topology) {
    return infer(config, topology, ThreadWorld.of(topology.ranks()), Strategy.FLAT, Overlap.NONE);
  }

  private static float[] infer(
      ModelConfig config,
      Topology topology,
      ThreadWorld threads,
      Strategy strategy,
      Overlap overlap) {
    return concatenated(
        topology,
        threads.run(
            world -> {
              Ranks ranks = new Ranks(topology, world, strategy, overlap);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(config, ranks)) {
                model.materialize(backend, DType.FLOAT32, false, 7);
                model.pack(backend, DType.FLOAT32);
                try (TensorScope scope = TensorScope.confined(backend)) {
                  Pass pass = Pass.inference(backend, scope);
                  return model
                      .head()
                      .logits(pass, hidden(pass, model, tokens(scope, ranks, 1), null, false))
                      .toFloats();
                }
              }
            }));
  }

  private static Outcome train(ModelConfig config, Topology topology, boolean recompute) {
    return train(config, topology, Overlap.NONE, recompute);
  }

  private static Outcome trainPadded(ModelConfig config, Topology topology) {
    return train(config, topology, Overlap.NONE, false, true);
  }

  private static Outcome train(
      ModelConfig config, Topology topology, Overlap overlap, boolean recompute) {
    return train(config, topology, overlap, recompute, false);
  }

  private static Outcome train(
      ModelConfig config, Topology topology, Overlap overlap, boolean recompute, boolean padded) {
    List<Outcome> parts =
        ThreadWorld.of(topology.ranks())
            .run(
                world -> {
                  Ranks ranks = new Ranks(topology, world, Strategy.FLAT, overlap);
                  return train(config, ranks, recompute, padded);
                });
    Map<String, float[]> gradients = new LinkedHashMap<>();
    parts.forEach(part -> gradients.putAll(part.gradients));
    return new Outcome(
        concatenated(topology, parts.stream().map(Outcome::losses).toList()),
        parts.getLast().gateLosses,
        gradients);
  }

  private static Outcome train(ModelConfig config, Ranks ranks, boolean recompute, boolean padded) {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(config, ranks);
        TensorScope scope = TensorScope.confined(backend)) {
      model.materialize(backend, DType.FLOAT32, true, 7);
      Tape tape = new Tape(backend);
      model.parameters().watch(tape);
      List<Float> gateLosses = new ArrayList<>();
      Pass pass =
          Pass.training(backend, scope, tape, 3, 1)
              .partOf(ranks.data())
              .observedBy(
                  (_, routes) -> {
                    gateLosses.add(routes.losses().getFloat(0));
                    gateLosses.add(routes.losses().getFloat(1));
                  });
      Tensor used = padded ? used(scope, ranks) : null;
      Tensor hidden = hidden(pass, model, tokens(scope, ranks, 1), used, recompute);
      Tensor losses =
          model.head().losses(pass, hidden, tokens(scope, ranks, 2), 1f / (BATCH * LENGTH));
      float[] values = losses.toFloats();
      tape.backward();
      Map<String, float[]> gradients = new LinkedHashMap<>();
      for (Parameter parameter : model.parameters().parameters()) {
        parameter.replicas().allReduce(parameter.gradient());
        for (int i = 0; i < parameter.matrices(); i++) {
          gradients.put(
              parameter.name() + "#" + parameter.expert(i), whole(scope, parameter, i).toFloats());
        }
      }
      float[] gates = new float[gateLosses.size()];
      for (int i = 0; i < gates.length; i++) {
        gates[i] = gateLosses.get(i);
      }
      return new Outcome(values, gates, gradients);
    }
  }

  /** The gradient of a matrix, gathered from its slices. */
  private static Tensor whole(TensorScope scope, Parameter parameter, int matrix) {
    Tensor slice = parameter.matrix(parameter.gradient(), matrix);
    if (parameter.slice().whole()) {
      return slice;
    }
    int slices = parameter.slice().ranks().size();
    Tensor gathered = scope.allocate(DType.FLOAT32, slices * slice.count());
    long[] counts = new long[slices];
    Arrays.fill(counts, slice.count());
    parameter.slice().ranks().allGather(slice.reshape(slice.count()), gathered, counts);
    Tensor whole = scope.allocate(DType.FLOAT32, parameter.matrixShape());
    for (int rank = 0; rank < slices; rank++) {
      parameter
          .slice()
          .paste(gathered.rows(rank * slice.count(), (rank + 1) * slice.count()), rank, whole);
    }
    return whole;
  }

  private static Tensor hidden(
      Pass pass, LanguageModel model, Tensor ids, Tensor used, boolean recompute) {
    Tensor positions = pass.allocate(DType.INT32, ids.count());
    for (int i = 0; i < ids.count(); i++) {
      positions.setInt(i, i % LENGTH);
    }
    return model.forward(
        pass,
        ids,
        new Sequences.Whole(Math.toIntExact(ids.count() / LENGTH), LENGTH, positions),
        used,
        recompute);
  }

  /** The used tokens of this rank: sequence i of the batch has LENGTH - i, at least one. */
  private static Tensor used(TensorScope scope, Ranks ranks) {
    int mine = BATCH / ranks.data().size();
    Tensor used = scope.zeros(DType.UINT8, mine * LENGTH);
    for (int i = 0; i < mine; i++) {
      int sequence = ranks.data().rank() * mine + i;
      for (int token = 0; token < Math.max(1, LENGTH - sequence); token++) {
        used.setFloat(i * LENGTH + token, 1);
      }
    }
    return used;
  }

  /** This rank's sequences of the batch. */
  private static Tensor tokens(TensorScope scope, Ranks ranks, int seed) {
    int[] all = new Random(seed).ints(BATCH * LENGTH, 0, VOCABULARY).toArray();
    int mine = all.length / ranks.data().size();
    int first = ranks.data().rank() * mine;
    return scope.allocate(DType.INT32, mine).set(Arrays.copyOfRange(all, first, first + mine));
  }

  /** The data ranks' parts, concatenated; tensor ranks have equal parts. */
  private static float[] concatenated(Topology topology, List<float[]> parts) {
    float[] all = new float[parts.getFirst().length * topology.dataDegree()];
    for (int rank = 0; rank < topology.ranks(); rank++) {
      float[] part = parts.get(rank);
      System.arraycopy(part, 0, all, rank / topology.tensorDegree() * part.length, part.length);
    }
    return all;
  }
}
