package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.bindings.NativeLibrary;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Strategy;
import panamoe.comm.nccl.NcclCommunicator;
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
 * Exchanges between GPUs: four ranks with an emulated GPU each, and a stand-in for NCCL ({@code
 * native/test/nccl_threads}) whose work is in the GPUs' streams. Late streams work after the host
 * has gone on, so that a missing wait changes the bits.
 */
@Timeout(300)
@SuppressWarnings("restricted") // Functions of the emulation and of libc that have no binding.
class GpuExchangeTest {
  private static final String PROPERTY = "panamoe.nccl.path";
  private static final Duration PATIENCE = Duration.ofMinutes(2);
  private static final int[] NODE_BY_NODE = {0, 0, 1, 1};
  private static final int[] IN_TURN = {0, 1, 0, 1};
  private static final int LENGTH = 4;
  private static final int VOCABULARY = 16;
  private static final Topology COORDINATED = new Topology(4, 4, 2, 1);

  private interface Body<T> {
    T run(Communicator nccl, Backend gpu);
  }

  @BeforeEach
  void takeTheTestLibrary() throws Throwable {
    assumeTrue(System.getProperty("panamoe.test.backends", "simt").contains("simt"));
    Path built = Path.of("..", "native", "build", "release", "libnccl_threads.so");
    System.setProperty(
        PROPERTY, System.getProperty("panamoe.nccl.threads", built.toAbsolutePath().toString()));
    synchronous(false);
  }

  @AfterEach
  void forget() throws Throwable {
    System.clearProperty(PROPERTY);
    streamsAreLate(false);
    synchronous(true);
  }

  /**
   * Flat, hierarchical and coordinated exchanges in both directions deliver the rows of a world of
   * threads.
   */
  @ParameterizedTest
  @CsvSource({"false", "true"})
  void everyWayMovesTheSameBits(boolean late) throws Throwable {
    List<float[][]> expected =
        ThreadWorld.of(4)
            .run(
                world -> {
                  try (NativeBackend cpu = NativeBackend.open("cpu", 1)) {
                    return moved(world, cpu, Strategy.FLAT);
                  }
                });
    streamsAreLate(late);
    for (int[] nodes : new int[][] {NODE_BY_NODE, IN_TURN}) {
      for (Strategy strategy : new Strategy[] {Strategy.FLAT, Strategy.HIERARCHICAL}) {
        List<float[][]> actual = onGpus(nodes, (nccl, gpu) -> moved(nccl, gpu, strategy));
        for (int rank = 0; rank < 4; rank++) {
          assertArrayEquals(expected.get(rank), actual.get(rank), strategy + " of rank " + rank);
        }
      }
    }
  }

  /** Buffers of an exchange may be memory that was freed while the first stream still uses it. */
  @Test
  void theSecondStreamWaitsForThoseWhoHadItsMemory() throws Throwable {
    hold(1);
    byte[] bytes = new byte[1 << 10];
    Arrays.fill(bytes, (byte) 7);
    MemorySegment host = MemorySegment.ofArray(bytes);
    try (NativeBackend gpu = NativeBackend.open("simt", 1);
        Backend second = gpu.secondStream()) {
      MemorySegment freed = gpu.allocate(bytes.length);
      gpu.zero(freed);
      gpu.free(freed);
      MemorySegment taken = second.allocate(bytes.length);
      assertEquals(freed.address(), taken.address());
      second.write(host, taken);
      second.synchronize();
      gpu.synchronize();
      byte[] seen = new byte[bytes.length];
      second.read(taken, MemorySegment.ofArray(seen));
      assertArrayEquals(bytes, seen);
    }
  }

  /**
   * The rows that arrive and return; then those when ranks 0 and 1, and 2 and 3, have equal rows.
   */
  private static float[][] moved(Communicator world, Backend device, Strategy strategy) {
    List<float[]> seen = new ArrayList<>();
    try (Exchange exchange = Exchange.of(world, strategy, device)) {
      seen.addAll(moved(exchange, world.rank(), strategy, device));
    }
    Communicator tensor = world.split(world.rank() / 2, world.rank(), "tensor");
    try (Exchange exchange =
        Exchange.coordinated(world, tensor, SelfCommunicator.WORLD, strategy, device)) {
      seen.addAll(moved(exchange, world.rank() / 2, strategy, device));
    }
    tensor.close();
    return seen.toArray(float[][]::new);
  }

  private static List<float[]> moved(
      Exchange exchange, int seed, Strategy strategy, Backend device) {
    long[] counts = new Random(seed).longs(8, 0, 9).toArray();
    ExchangePlan plan = exchange.plan(counts, 24);
    assertEquals(strategy, plan.strategy());
    try (TensorScope scope = TensorScope.confined(device)) {
      float[] values = new float[(int) plan.rows() * 6];
      for (int i = 0; i < values.length; i++) {
        values[i] = 1000 * seed + i;
      }
      Tensor rows = scope.allocate(DType.FLOAT32, plan.rows(), 6).set(values);
      Tensor arrived = scope.zeros(DType.FLOAT32, plan.arrived(), 6);
      Tensor returned = scope.zeros(DType.FLOAT32, plan.rows(), 6);
      plan.forward(rows, arrived);
      device.add(1, arrived, 1, arrived, arrived);
      plan.reverse(arrived, returned);
      device.add(1, returned, 1, rows, returned);
      return List.of(arrived.toFloats(), returned.toFloats());
    }
  }

  /**
   * Losses and gradients of a model with MoE layers, for each strategy, with and without overlap.
   */
  @ParameterizedTest
  @CsvSource({"false", "true"})
  void everyWayGivesTheSameGradients(boolean coordinated) throws Throwable {
    Topology topology = coordinated ? COORDINATED : Topology.of(4);
    List<float[][]> expected = gradients(topology, Strategy.FLAT, Overlap.NONE);
    assertTrue(expected.getFirst().length > 10);
    assertSame(expected, gradients(topology, Strategy.HIERARCHICAL, Overlap.NONE));
    assertSame(expected, gradients(topology, Strategy.HIERARCHICAL, new Overlap(true, 1)));
    streamsAreLate(true);
    assertSame(expected, gradients(topology, Strategy.FLAT, new Overlap(true, 1)));
    assertSame(expected, gradients(topology, Strategy.HIERARCHICAL, new Overlap(true, 1)));
    List<float[][]> inParts = gradients(topology, Strategy.HIERARCHICAL, new Overlap(true, 2));
    for (int rank = 0; rank < 4; rank++) {
      assertArrayEquals(expected.get(rank)[0], inParts.get(rank)[0], "losses of rank " + rank);
    }
  }

  @Test
  void aRankThatFailsIsNamedByThoseThatWaitForItsCard() {
    String message =
        assertThrows(
                RuntimeException.class,
                () ->
                    onGpus(
                        NODE_BY_NODE,
                        (nccl, gpu) -> {
                          try (TensorScope scope = TensorScope.confined(gpu)) {
                            Tensor tensor = scope.zeros(DType.FLOAT32, 4);
                            nccl.allReduce(tensor);
                            if (nccl.rank() == 2) {
                              throw new IllegalStateException("the GPU is hot");
                            }
                            nccl.allReduce(tensor);
                            return tensor.toFloats();
                          }
                        }))
            .getMessage();
    assertTrue(message.contains("rank 2 failed") && message.contains("the GPU is hot"), message);
  }

  private static void assertSame(List<float[][]> expected, List<float[][]> actual) {
    for (int rank = 0; rank < 4; rank++) {
      assertArrayEquals(expected.get(rank), actual.get(rank), "rank " + rank);
    }
  }

  private static List<float[][]> gradients(Topology topology, Strategy strategy, Overlap overlap) {
    ModelConfig config =
        new UniformModel(
                VOCABULARY,
                LENGTH,
                16,
                new UniformModel.Attention(4, 4, UniformModel.Positions.LEARNED),
                new UniformModel.FeedForward(
                    20, Activation.GELU_TANH, List.of(4, 8), true, GateConfig.dropless(1)),
                NormConfig.Kind.LAYER,
                true,
                0.3)
            .toConfig();
    return onGpus(
        NODE_BY_NODE,
        (nccl, gpu) -> {
          Ranks ranks = new Ranks(topology, nccl, strategy, overlap);
          float[][] seen = gradients(config, ranks, gpu);
          ranks.close();
          return seen;
        });
  }

  private static float[][] gradients(ModelConfig config, Ranks ranks, Backend gpu) {
    try (LanguageModel model = new LanguageModel(config, ranks);
        TensorScope scope = TensorScope.confined(gpu)) {
      model.materialize(gpu, DType.FLOAT32, true, 7);
      Tape tape = new Tape(gpu);
      model.parameters().watch(tape);
      Pass pass = Pass.training(gpu, scope, tape, 3, 1).partOf(ranks.data());
      int tokens = 2 * LENGTH;
      int[] ids = new Random(ranks.data().rank()).ints(tokens, 0, VOCABULARY).toArray();
      int[] places = new int[tokens];
      Arrays.setAll(places, i -> i % LENGTH);
      Tensor positions = scope.allocate(DType.INT32, tokens).set(places);
      Tensor input = scope.allocate(DType.INT32, tokens).set(ids);
      Tensor hidden =
          model.forward(pass, input, new Sequences.Whole(2, LENGTH, positions), null, false);
      Tensor losses = model.head().losses(pass, hidden, input, 1f / tokens);
      tape.backward();
      List<float[]> seen = new ArrayList<>(List.of(losses.toFloats()));
      for (Parameter parameter : model.parameters().parameters()) {
        seen.add(parameter.gradient().toFloats());
      }
      return seen.toArray(float[][]::new);
    }
  }

  private static <T> List<T> onGpus(int[] nodes, Body<T> body) {
    return ThreadWorld.of(nodes.length)
        .on(nodes)
        .timeout(PATIENCE)
        .run(
            world -> {
              try (NativeBackend gpu = NativeBackend.open("simt", 1, world.rank())) {
                BackendNcclDevice device = new BackendNcclDevice(gpu);
                Communicator nccl = NcclCommunicator.open(world, device, PATIENCE);
                T seen = body.run(nccl, gpu);
                nccl.close();
                return seen;
              }
            });
  }

  /** Makes the GPUs' streams work asynchronously and late. */
  private static void streamsAreLate(boolean late) throws Throwable {
    hold(late ? 2 : 0);
  }

  /** 1: streams work only when they are waited for; 2: late; 0: immediately. */
  private static void hold(int how) throws Throwable {
    Path emulation = NativeLibrary.file().orElseThrow().resolveSibling("libpanamoe_simt.so");
    Linker.nativeLinker()
        .downcallHandle(
            SymbolLookup.libraryLookup(emulation, Arena.global()).findOrThrow("simt_hold"),
            FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT))
        .invokeExact(how);
  }

  /** Whether new streams wait for each kernel. */
  private static void synchronous(boolean waits) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      int refused =
          (int)
              Linker.nativeLinker()
                  .downcallHandle(
                      Linker.nativeLinker().defaultLookup().findOrThrow("setenv"),
                      FunctionDescriptor.of(
                          ValueLayout.JAVA_INT,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.JAVA_INT))
                  .invokeExact(
                      arena.allocateFrom("PANAMOE_CUDA_SYNCHRONOUS"),
                      arena.allocateFrom(waits ? "1" : "0"),
                      1);
      assertEquals(0, refused);
    }
  }
}
