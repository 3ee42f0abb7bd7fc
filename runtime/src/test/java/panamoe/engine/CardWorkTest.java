package panamoe.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.bindings.NativeLibrary;
import panamoe.comm.Alone;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Capacity;
import panamoe.config.GateConfig.Choice;
import panamoe.config.GateConfig.Loss;
import panamoe.config.GateConfig.Noise;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
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
import panamoe.train.LoadMeter;

/**
 * How often the host gives a card work and waits for it, as the emulation of CUDA counts it. A wait
 * stands for every access of the host to tensors of launched kernels. The bounds are what is needed
 * today; they may only fall.
 */
@SuppressWarnings(
    "restricted") // Calls functions of the emulation and of libc, which no binding has.
class CardWorkTest {
  private static final int TOKENS = 12;

  private record Work(long launches, long waits) {
    Work since(Work before) {
      return new Work(launches - before.launches, waits - before.waits);
    }
  }

  @BeforeEach
  void theEmulationIsUnderTest() {
    assumeTrue(System.getProperty("panamoe.test.backends", "simt").contains("simt"));
  }

  @Test
  void anInferenceForwardOfAMoeLayerNeverWaits() throws Throwable {
    MoeConfig config = MoeConfig.of(4, 16, Activation.GELU_TANH, true, GateConfig.dropless(2));
    try (Backend backend = asynchronous();
        ParameterStore store = new ParameterStore();
        TensorScope scope = TensorScope.confined(backend)) {
      MoeLayer layer = new MoeLayer(Declarations.of(store, 1, "moe"), 0, 8, config);
      store.materialize(backend, DType.FLOAT32, false, 1);
      Tensor x = scope.zeros(DType.FLOAT32, TOKENS, 8);
      layer.forward(Pass.inference(backend, scope), x, null, null);
      backend.synchronize();
      Work before = work();
      layer.forward(Pass.inference(backend, scope), x, null, null);
      Work done = work().since(before);
      backend.synchronize();
      assertTrue(done.launches <= 9, done.toString());
      assertEquals(0, done.waits);
    }
  }

  @Test
  void aRouterAndItsGateAreThreeLaunches() throws Throwable {
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
        Work before = work();
        gate.forward(Pass.inference(backend, scope), x, null, TOKENS);
        assertEquals(new Work(3, 0), work().since(before), config.toString());
      }
    }
  }

  @Test
  void trainingAMoeLayerNeverWaits() throws Throwable {
    GateConfig plain = GateConfig.dropless(2);
    for (GateConfig config :
        List.of(
            plain,
            plain.withChoice(Choice.with(Noise.JITTER)),
            plain.withChoice(Choice.with(Noise.GUMBEL)),
            plain.withLoss(new Loss(true, 0.01, 1e-3)),
            GateConfig.deepSpeed(1, 1, 2),
            GateConfig.deepSpeed(2, 1, 2),
            GateConfig.deepSpeed(3, 1, 2),
            plain.withCapacity(
                new Capacity(DropPolicy.BEST_SCORE, 1, 1, 2, QueueOrder.CHOICE_MAJOR)),
            GateConfig.deepSeek(2, 8))) {
      assertEquals(0, waitsOfTraining(config), config.toString());
    }
  }

  /** Waits of a forward and a backward of a layer whose loads are measured. */
  private static long waitsOfTraining(GateConfig config) throws Throwable {
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
      Work before = work();
      tape.addGradient(layer.forward(pass, x, null, null), dy);
      tape.backward();
      long waits = work().since(before).waits;
      assertEquals(8, meter.take(Alone.WORLD).getFirst().experts());
      assertTrue(work().since(before).waits > waits, "the loads were read without a wait");
      return waits;
    }
  }

  @Test
  void aDecodeStepIsOneLaunch() throws Throwable {
    ModelConfig config =
        new UniformModel(
                37,
                24,
                32,
                2,
                1,
                48,
                List.of(0, 5),
                true,
                GateConfig.dropless(1),
                Activation.GELU_TANH,
                NormConfig.Kind.LAYER,
                UniformModel.Positions.LEARNED,
                true,
                0.2)
            .toConfig();
    try (Backend backend = asynchronous();
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      model.pack(backend, DType.FLOAT32);
      try (ModelRunner runner = new ModelRunner(backend, model, EngineConfig.one(24))) {
        StepRows rows = new StepRows(1);
        rows.change(0, 0, 0);
        Work before = work();
        for (int position = 0; position < 3; position++) { // the third one is replayed
          before = work();
          rows.add(7, 0, position);
          rows.want();
          runner.run(rows);
          runner.logits(0, new float[37]);
          rows.clear();
        }
        Work done = work().since(before);
        assertEquals(1, done.launches);
        assertEquals(1, done.waits);
      }
    }
  }

  /** A backend that does not wait after every kernel, as the emulation else does. */
  private static Backend asynchronous() throws Throwable {
    setSynchronous("0");
    try {
      return Backends.open("simt", 1);
    } finally {
      setSynchronous("1"); // the emulation's default
    }
  }

  private static void setSynchronous(String value) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      int unused =
          (int)
              function(
                      Linker.nativeLinker().defaultLookup(),
                      "setenv",
                      FunctionDescriptor.of(
                          ValueLayout.JAVA_INT,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.JAVA_INT))
                  .invokeExact(
                      arena.allocateFrom("PANAMOE_CUDA_SYNCHRONOUS"), arena.allocateFrom(value), 1);
      assertEquals(0, unused);
    }
  }

  private static Work work() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment counts = arena.allocate(ValueLayout.JAVA_LONG, 2);
      function(
              SymbolLookup.libraryLookup(
                  NativeLibrary.file().orElseThrow().resolveSibling("libpanamoe_simt.so"), arena),
              "simt_work",
              FunctionDescriptor.ofVoid(ValueLayout.ADDRESS))
          .invokeExact(counts);
      return new Work(
          counts.getAtIndex(ValueLayout.JAVA_LONG, 0), counts.getAtIndex(ValueLayout.JAVA_LONG, 1));
    }
  }

  private static MethodHandle function(
      SymbolLookup library, String name, FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), descriptor);
  }
}
