package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
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
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.LanguageModel;
import panamoe.moe.Gate;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EmulatedGpus;
import panamoe.testkit.EmulatedGpus.Streams;
import panamoe.testkit.EmulatedGpus.Work;

/**
 * Exchanges between GPUs: four ranks with an emulated GPU each, and a stand-in for NCCL ({@code
 * native/test/nccl_threads}) whose work is in the GPUs' streams. Late streams work after the host
 * has gone on, so that a missing wait changes the bits.
 */
@Timeout(300)
class GpuExchangeTest {
  private static final int[] IN_TURN = {0, 1, 0, 1};
  private static final int LENGTH = 4;
  private static final int VOCABULARY = 16;
  private static final Topology COORDINATED = new Topology(4, 4, 2, 1);

  @BeforeEach
  void emulate() {
    EmulatedGpus.begin();
  }

  @AfterEach
  void forget() {
    EmulatedGpus.end();
  }

  /**
   * Flat, hierarchical and coordinated exchanges in both directions deliver the rows of a world of
   * threads.
   */
  @ParameterizedTest
  @CsvSource({"false", "true"})
  void everyWayMovesTheSameBits(boolean late) {
    List<float[][]> expected =
        ThreadWorld.of(4)
            .run(
                world -> {
                  try (NativeBackend cpu = NativeBackend.open("cpu", 1)) {
                    return moved(world, cpu, Strategy.FLAT);
                  }
                });
    EmulatedGpus.streams(late ? Streams.LATE : Streams.AT_ONCE);
    for (int[] nodes : new int[][] {EmulatedGpus.NODE_BY_NODE, IN_TURN}) {
      for (Strategy strategy : new Strategy[] {Strategy.FLAT, Strategy.HIERARCHICAL}) {
        List<float[][]> actual = EmulatedGpus.run(nodes, (nccl, gpu) -> moved(nccl, gpu, strategy));
        for (int rank = 0; rank < 4; rank++) {
          assertArrayEquals(expected.get(rank), actual.get(rank), strategy + " of rank " + rank);
        }
      }
    }
  }

  /**
   * Each of 2 x 2 ranks has 3 rows of 24 bytes for each: flat 3 messages of 3 rows; hierarchical
   * two layouts, a kernel each, and within the node and between the nodes a message of 6 rows.
   */
  @ParameterizedTest
  @CsvSource({"FLAT, 0, 3, 9", "HIERARCHICAL, 2, 2, 12"})
  void aDirectionIsSoManyKernelsAndMessages(
      Strategy strategy, int kernels, int messages, int rows) {
    List<long[]> seen =
        EmulatedGpus.run(
            EmulatedGpus.NODE_BY_NODE,
            (nccl, gpu) -> {
              try (Exchange exchange = Exchange.of(nccl, strategy, gpu);
                  TensorScope scope = TensorScope.confined(gpu)) {
                ExchangePlan plan = exchange.plan(new long[] {3, 3, 3, 3}, 24);
                Tensor sent = scope.zeros(DType.FLOAT32, 12, 6);
                Tensor arrived = scope.zeros(DType.FLOAT32, 12, 6);
                plan.forward(sent, arrived); // takes the buffers
                gpu.synchronize();
                nccl.barrier();
                Work before = EmulatedGpus.work();
                long[] saidBefore = EmulatedGpus.messages();
                nccl.barrier();
                plan.reverse(arrived, sent);
                gpu.synchronize();
                nccl.barrier();
                long[] said = EmulatedGpus.messages();
                long launches = EmulatedGpus.work().since(before).launches();
                nccl.barrier();
                return new long[] {launches, said[0] - saidBefore[0], said[1] - saidBefore[1]};
              }
            });
    for (long[] each : seen) {
      assertArrayEquals(new long[] {4L * kernels, 4L * messages, 4L * rows * 24}, each);
    }
  }

  /** Buffers of an exchange may be memory that was freed while the first stream still uses it. */
  @Test
  void theSecondStreamWaitsForThoseWhoHadItsMemory() {
    EmulatedGpus.streams(Streams.AWAITED);
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
  void everyWayGivesTheSameGradients(boolean coordinated) {
    Topology topology = coordinated ? COORDINATED : Topology.of(4);
    List<float[][]> expected = gradients(topology, Strategy.FLAT, Overlap.NONE);
    assertTrue(expected.getFirst().length > 10);
    assertSame(expected, gradients(topology, Strategy.HIERARCHICAL, Overlap.NONE));
    assertSame(expected, gradients(topology, Strategy.HIERARCHICAL, new Overlap(true, 1)));
    EmulatedGpus.streams(Streams.LATE);
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
                    EmulatedGpus.run(
                        EmulatedGpus.NODE_BY_NODE,
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

  /** The auxiliary and the z loss of a batch over the ranks, in the forward and the backward. */
  @Test
  void lossesOverDataRanksWaitForNoKernel() {
    GateConfig config = GateConfig.dropless(2).withLoss(new GateConfig.Loss(false, 0.01, 1e-3));
    List<Long> waits =
        EmulatedGpus.run(
            EmulatedGpus.NODE_BY_NODE,
            (nccl, gpu) -> {
              try (ParameterStore store = new ParameterStore();
                  TensorScope scope = TensorScope.confined(gpu)) {
                Gate gate = new Gate(Declarations.of(store, 1, "gate"), 16, 8, config);
                store.materialize(gpu, DType.FLOAT32, true, 1);
                Tensor x = scope.zeros(DType.FLOAT32, 12, 16);
                Tape tape = new Tape(gpu);
                store.watch(tape);
                Pass pass = Pass.training(gpu, scope, tape, 3, 1).partOf(nccl);
                nccl.barrier();
                long before = EmulatedGpus.work().waits();
                nccl.barrier();
                Tensor losses = gate.forward(pass, x, null, 12).losses();
                tape.backward();
                nccl.barrier();
                long waited = EmulatedGpus.work().waits() - before;
                nccl.barrier();
                assertEquals(Math.log(8) * Math.log(8), losses.getFloat(1), 1e-6);
                return waited;
              }
            });
    assertEquals(List.of(0L, 0L, 0L, 0L), waits);
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
    return EmulatedGpus.run(
        EmulatedGpus.NODE_BY_NODE,
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
}
