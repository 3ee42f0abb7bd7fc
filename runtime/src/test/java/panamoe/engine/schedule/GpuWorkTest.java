package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.KernelGraph;
import panamoe.backend.abi.MemoryUsage;
import panamoe.backend.abi.NativeBackend;
import panamoe.comm.SelfCommunicator;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Capacity;
import panamoe.config.GateConfig.Choice;
import panamoe.config.GateConfig.Loss;
import panamoe.config.GateConfig.Noise;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.engine.EngineConfig;
import panamoe.engine.sample.Sampler;
import panamoe.engine.sample.SamplerState;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.Gate;
import panamoe.moe.MoeLayer;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.Declarations;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EmulatedGpus;
import panamoe.testkit.EmulatedGpus.Work;
import panamoe.train.LayerLoad;
import panamoe.train.LoadMeter;

/**
 * Counts kernel launches, waits and copies between host and GPU, in the emulation of CUDA. The
 * bounds are today's numbers; they may only fall.
 */
class GpuWorkTest {
  private static final int TOKENS = 12;
  private static final int VOCABULARY = 37;

  @BeforeEach
  void theEmulationIsUnderTest() {
    assumeTrue(System.getProperty("panamoe.test.backends", "simt").contains("simt"));
  }

  /** Router, gate, dispatch, experts (2) and combine; float32 experts take two launches each. */
  @ParameterizedTest
  @CsvSource({"BFLOAT16, 6", "FLOAT32, 8"})
  void anInferenceForwardOfAMoeLayerNeverWaits(DType dtype, int launches) {
    MoeConfig config = MoeConfig.of(4, 16, Activation.GELU_TANH, true, GateConfig.dropless(2));
    try (Backend backend = asynchronous();
        ParameterStore store = new ParameterStore();
        TensorScope scope = TensorScope.confined(backend)) {
      MoeLayer layer = new MoeLayer(Declarations.of(store, 1, "moe"), 0, 8, config);
      store.materialize(backend, dtype, false, 1);
      Tensor x = scope.zeros(dtype, TOKENS, 8);
      layer.forward(Pass.inference(backend, scope), x, null, null);
      backend.synchronize();
      Work before = EmulatedGpus.work();
      layer.forward(Pass.inference(backend, scope), x, null, null);
      Work done = EmulatedGpus.work().since(before);
      backend.synchronize();
      assertEquals(launches, done.launches());
      assertEquals(0, done.waits());
    }
  }

  /** A launch fails within a capture; then its end fails, then the making of the graph. */
  @Test
  void aFailedCaptureLeavesNothing() {
    try (NativeBackend backend = (NativeBackend) asynchronous();
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = scope.zeros(DType.FLOAT32, 100_000);
      Tensor sum = scope.zeros(DType.FLOAT32, 1);
      KernelGraph graph =
          backend.capture(
              () -> {
                backend.squareSum(x, sum);
                backend.fill(1, x);
              });
      backend.synchronize();
      MemoryUsage before = backend.memoryUsage();
      int graphs = EmulatedGpus.graphs();
      for (String function :
          List.of("cudaLaunchKernelExC", "cudaStreamEndCapture", "cudaGraphInstantiate")) {
        EmulatedGpus.fail(function, 1, function.startsWith("cudaLaunch") ? 1 : 0);
        assertThrows(RuntimeException.class, graph::replay, function);
        assertEquals(graphs, EmulatedGpus.graphs(), function);
        assertEquals(before.inUse(), backend.memoryUsage().inUse(), function);
      }
      graph.replay();
      assertEquals(100_000f, sum.getFloat(0));
      graph.close();
      assertEquals(graphs, EmulatedGpus.graphs());
    }
  }

  /** Gates write them to the meter's memory, which is read when the step's loads are. */
  @Test
  void loadStatisticsOfALayerWaitForNothing() {
    MoeConfig config = MoeConfig.of(4, 16, Activation.GELU_TANH, true, GateConfig.dropless(2));
    try (Backend backend = asynchronous();
        ParameterStore store = new ParameterStore();
        TensorScope scope = TensorScope.confined(backend)) {
      MoeLayer layer = new MoeLayer(Declarations.of(store, 1, "moe"), 0, 8, config);
      store.materialize(backend, DType.FLOAT32, false, 1);
      Tensor x = scope.zeros(DType.FLOAT32, TOKENS, 8);
      LoadMeter meter = new LoadMeter(backend);
      Pass pass = Pass.inference(backend, scope).observedBy(meter);
      layer.forward(pass, x, null, null);
      meter.take(SelfCommunicator.WORLD);
      Work before = EmulatedGpus.work();
      layer.forward(pass, x, null, null);
      assertEquals(0, EmulatedGpus.work().since(before).waits());
      LayerLoad load = meter.take(SelfCommunicator.WORLD).getFirst();
      assertEquals(2 * TOKENS, load.routes());
      assertTrue(load.routerEntropy() > 0, load.toString());
    }
  }

  @Test
  void aRouterAndItsGateAreTwoLaunches() {
    GateConfig capacity =
        GateConfig.dropless(2)
            .withCapacity(
                new Capacity(DropPolicy.POSITION, 1.25, 1.25, 4, QueueOrder.CHOICE_MAJOR));
    for (GateConfig config : List.of(GateConfig.dropless(2), capacity, GateConfig.deepSeek(2, 8))) {
      try (Backend backend = asynchronous();
          ParameterStore store = new ParameterStore();
          TensorScope scope = TensorScope.confined(backend)) {
        Gate gate = new Gate(Declarations.of(store, 1, "gate"), 600, 8, config);
        store.materialize(backend, DType.FLOAT32, false, 1);
        Tensor x = scope.zeros(DType.FLOAT32, TOKENS, 600); // the router's sums are split
        Work before = EmulatedGpus.work();
        gate.forward(Pass.inference(backend, scope), x, null, TOKENS);
        assertEquals(new Work(2, 0, 0), EmulatedGpus.work().since(before), config.toString());
      }
    }
  }

  @Test
  void trainingAMoeLayerNeverWaits() {
    GateConfig plain = GateConfig.dropless(2);
    for (GateConfig config :
        List.of(
            plain,
            plain.withChoice(Choice.with(Noise.JITTER)),
            plain.withChoice(Choice.with(Noise.GUMBEL)),
            plain.withLoss(new Loss(true, 0.01, 1e-3)),
            plain.withCosine(new GateConfig.Cosine(4)),
            plain.withLoss(new Loss(false, 0.01, 1e-3, true, null, null)),
            plain.withLoss(new Loss(true, 0.01, 1e-3, null, null, true)),
            GateConfig.deepSpeed(1, 1, 2),
            GateConfig.deepSpeed(2, 1, 2),
            GateConfig.deepSpeed(3, 1, 2),
            plain.withCapacity(
                new Capacity(DropPolicy.BEST_SCORE, 1, 1, 2, QueueOrder.CHOICE_MAJOR)),
            GateConfig.deepSeek(2, 8))) {
      assertEquals(0, waitsOfTraining(config), config.toString());
    }
  }

  /** Waits in a forward and backward of a layer with measured loads. */
  private static long waitsOfTraining(GateConfig config) {
    MoeConfig moe = MoeConfig.of(8, 16, Activation.GELU_TANH, true, config);
    try (Backend backend = asynchronous();
        ParameterStore store = new ParameterStore();
        TensorScope scope = TensorScope.confined(backend)) {
      MoeLayer layer = new MoeLayer(Declarations.of(store, 1, "moe"), 0, 8, moe);
      store.materialize(backend, DType.FLOAT32, true, 1);
      Tensor x = scope.zeros(DType.FLOAT32, TOKENS, 8);
      Tensor dy = scope.zeros(DType.FLOAT32, TOKENS, 8);
      Tape tape = new Tape(backend);
      store.watch(tape);
      LoadMeter meter = new LoadMeter(backend);
      Pass pass = Pass.training(backend, scope, tape, 5, 1).observedBy(meter);
      Work before = EmulatedGpus.work();
      tape.addGradient(layer.forward(pass, x, null, null), dy);
      tape.backward();
      long waits = EmulatedGpus.work().since(before).waits();
      assertEquals(8, meter.take(SelfCommunicator.WORLD).getFirst().experts());
      assertTrue(
          EmulatedGpus.work().since(before).waits() > waits, "the loads were read without a wait");
      return waits;
    }
  }

  @Test
  void aDecodeStepIsOneCopyInOneLaunchAndOneCopyOut() {
    decode((runner, rows, _) -> runner.run(rows), new Work(1, 1, 2));
  }

  /** Changes far from the rows take one copy for each run; close ones are copied with the rows. */
  @Test
  void ofALargeTableWhatChangesCrosses() {
    int blocks = 1 << 16;
    try (Backend backend = asynchronous();
        TensorScope scope = TensorScope.confined(backend)) {
      StepInputs inputs = new StepInputs(scope, 3, blocks, 4, 0);
      StepRows rows = new StepRows(4);
      rows.change(0, 0, 5);
      rows.change(0, 1, 6);
      rows.change(1, 9, 7);
      rows.change(2, blocks - 1, 8);
      rows.add(3, 2, 11);
      Work before = EmulatedGpus.work();
      inputs.changeTable(rows);
      inputs.fill(rows);
      assertEquals(new Work(0, 0, 3), EmulatedGpus.work().since(before));
      int[] expected = new int[3 * blocks];
      expected[0] = 5;
      expected[1] = 6;
      expected[blocks + 9] = 7;
      expected[3 * blocks - 1] = 8;
      assertArrayEquals(expected, inputs.table().toInts());
      assertArrayEquals(new int[] {11}, inputs.positions(1).toInts());
    }
  }

  /** Settings and tokens take one copy each, in addition to the step\'s. */
  @Test
  void drawingAddsOneOfEach() {
    SamplerState state = new SamplerState(SamplingConfig.GREEDY);
    decode(
        (runner, rows, sampler) -> {
          runner.run(rows);
          sampler.take(runner.output());
          sampler.ask(0, state);
          sampler.sample();
          assertTrue(sampler.token(0) >= 0);
        },
        new Work(2, 2, 4));
  }

  /** One more copy if the host reads a row's logits, and another if it changes them. */
  @ParameterizedTest
  @CsvSource({"false, 5", "true, 6"})
  void logitsCrossOnlyWhereTheHostNeedsThem(boolean changes, int copies) {
    SamplerState state = new SamplerState(SamplingConfig.GREEDY);
    decode(
        (runner, rows, sampler) -> {
          runner.run(rows);
          sampler.take(runner.output());
          MemorySegment logits = changes ? sampler.change(0) : sampler.row(0);
          float kept = logits.getAtIndex(ValueLayout.JAVA_FLOAT, 5);
          if (changes) {
            logits.fill((byte) 0).setAtIndex(ValueLayout.JAVA_FLOAT, 5, Math.abs(kept) + 1);
          }
          sampler.ask(0, state);
          sampler.sample();
          assertTrue(!changes || sampler.token(0) == 5);
        },
        new Work(2, 3, copies));
  }

  private interface DecodeStep {
    void run(ModelRunner runner, StepRows rows, Sampler sampler);
  }

  private static void decode(DecodeStep step, Work expected) {
    ModelConfig config =
        new UniformModel(
                VOCABULARY,
                24,
                32,
                new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
                new UniformModel.FeedForward(
                    48, Activation.GELU_TANH, List.of(0, 5), true, GateConfig.dropless(1)),
                NormConfig.Kind.LAYER,
                true,
                0.2)
            .toConfig();
    try (Backend backend = asynchronous();
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      model.pack(backend, DType.FLOAT32);
      try (ModelRunner runner = new ModelRunner(backend, model, EngineConfig.one(24));
          Sampler sampler = new Sampler(backend)) {
        StepRows rows = new StepRows(1);
        rows.change(0, 0, 0);
        Work before = EmulatedGpus.work();
        for (int position = 0; position < 3; position++) { // the third one is replayed
          before = EmulatedGpus.work();
          rows.add(7, 0, position);
          rows.want();
          step.run(runner, rows, sampler);
          rows.clear();
        }
        assertEquals(expected, EmulatedGpus.work().since(before));
      }
    }
  }

  /** A backend that does not wait after every kernel, unlike the emulation's default. */
  private static Backend asynchronous() {
    EmulatedGpus.synchronous(false);
    try {
      return Backends.open("simt", 1);
    } finally {
      EmulatedGpus.synchronous(true);
    }
  }
}
