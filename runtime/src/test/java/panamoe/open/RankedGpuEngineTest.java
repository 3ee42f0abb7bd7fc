package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Strategy;
import panamoe.data.ByteTokenizer;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.testkit.EmulatedGpus;
import panamoe.testkit.EmulatedGpus.Streams;
import panamoe.testkit.EmulatedGpus.Work;

/** A PR-MoE over many emulated GPUs generates like one GPU. */
@Timeout(300)
class RankedGpuEngineTest {
  private static final int ILLEGAL_ADDRESS = 700; // cudaErrorIllegalAddress

  private static List<ListenerLog> expected;

  @BeforeEach
  void emulate() throws InterruptedException {
    EmulatedGpus.begin();
    if (expected == null) {
      try (Backend gpu = Backends.open("simt", 1)) {
        expected = texts(gpu, Ranks.alone(), DType.FLOAT32);
      }
    }
  }

  @AfterEach
  void forget() {
    EmulatedGpus.end();
  }

  private static List<ListenerLog> texts(Backend gpu, Ranks ranks, DType dtype)
      throws InterruptedException {
    try (LanguageModel model = new LanguageModel(RankedEngineTest.MODEL, ranks)) {
      model.materialize(gpu, dtype, false, 3);
      model.pack(gpu, dtype);
      List<ListenerLog> texts = RankedEngineTest.write(gpu, model);
      ranks.close();
      return texts;
    }
  }

  private static List<ListenerLog> texts(Topology topology, Strategy strategy, Overlap overlap) {
    return texts(topology, strategy, overlap, DType.FLOAT32);
  }

  private static List<ListenerLog> texts(
      Topology topology, Strategy strategy, Overlap overlap, DType dtype) {
    int[] nodes = new int[topology.ranks()];
    for (int rank = 0; rank < nodes.length; rank++) {
      nodes[rank] = 2 * rank / nodes.length;
    }
    return EmulatedGpus.run(
            nodes, (nccl, gpu) -> texts(gpu, new Ranks(topology, nccl, strategy, overlap), dtype))
        .getFirst();
  }

  /** Expert and data degrees change no bit. */
  @ParameterizedTest
  @CsvSource({"4, 2, FLAT", "3, 3, FLAT", "4, 4, HIERARCHICAL"})
  void spreadOverExpertAndDataRanks(int ranks, int experts, Strategy strategy) {
    Topology topology = new Topology(ranks, experts, 1, 1);
    RankedEngineTest.assertSame(expected, texts(topology, strategy, Overlap.NONE));
  }

  /** Slices split sums, which then round differently. */
  @ParameterizedTest
  @CsvSource({"2, 1, 2, 1", "4, 4, 2, 1"})
  void slicedOverTensorRanks(int ranks, int experts, int tensor, int slices) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    RankedEngineTest.assertClose(expected, texts(topology, Strategy.HIERARCHICAL, Overlap.NONE));
  }

  /** A step with overlap is not captured, and exchanges counts. */
  @ParameterizedTest
  @CsvSource({
    "2, 2, 1, 1, BFLOAT16",
    "2, 1, 2, 2, BFLOAT16",
    "4, 4, 2, 1, FLOAT32",
    "4, 2, 2, 2, BFLOAT16",
    "4, 2, 4, 2, BFLOAT16"
  })
  void slotsAndGraphsChangeNoBit(int ranks, int experts, int tensor, int slices, DType dtype) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    RankedEngineTest.assertSame(
        texts(topology, Strategy.FLAT, new Overlap(true, 1), dtype),
        texts(topology, Strategy.HIERARCHICAL, Overlap.NONE, dtype));
  }

  /** Counts what the hosts say to each other. */
  private static final class Hosts {
    private final AtomicLong agreements = new AtomicLong();
    private final AtomicLong broadcasts = new AtomicLong();
    private long broadcastsUntilFailure = Long.MAX_VALUE;
    private Runnable failure;

    Communicator count(Communicator control) {
      return (Communicator)
          Proxy.newProxyInstance(
              Communicator.class.getClassLoader(),
              new Class<?>[] {Communicator.class},
              (_, method, arguments) -> {
                switch (method.getName()) {
                  case "allGather", "allToAll", "allReduce", "barrier", "reduceScatter" ->
                      agreements.incrementAndGet();
                  case "broadcast" -> broadcast(control);
                  default -> {}
                }
                try {
                  Object result = method.invoke(control, arguments);
                  return method.getName().equals("split") ? count((Communicator) result) : result;
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              });
    }

    private void broadcast(Communicator control) {
      if (control.rank() == 2 && broadcasts.incrementAndGet() == broadcastsUntilFailure) {
        failure.run();
      }
    }
  }

  /** Four sequences, spread evenly over the data ranks, that write as many tokens each. */
  private static List<Integer> write(
      Hosts hosts, Topology topology, Strategy strategy, int tokens) {
    return EmulatedGpus.run(
            EmulatedGpus.NODE_BY_NODE,
            hosts::count,
            (nccl, gpu) -> {
              Ranks ranks = new Ranks(topology, nccl, strategy, Overlap.NONE);
              List<Integer> written = new ArrayList<>();
              try (LanguageModel model = new LanguageModel(RankedEngineTest.MODEL, ranks)) {
                model.materialize(gpu, DType.FLOAT32, false, 3);
                model.pack(gpu, DType.FLOAT32);
                Engine.onRanks(
                    gpu,
                    model,
                    new ByteTokenizer(),
                    RankedEngineTest.CONFIG,
                    engine -> {
                      List<ListenerLog> logs = new ArrayList<>();
                      for (int i = 0; i < 4; i++) {
                        logs.add(new ListenerLog());
                        engine.submit(
                            GenerationRequest.of(
                                new int[] {65 + i, 66},
                                SamplingConfig.GREEDY,
                                new StopConfig(tokens, 0, List.of(), Set.of(), true, true)),
                            logs.getLast());
                      }
                      while (engine.step()) {}
                      logs.forEach(log -> written.addAll(log.tokens));
                    });
                ranks.close();
              }
              return written;
            })
        .getFirst();
  }

  /**
   * After the first steps the hosts agree on nothing, and each GPU gets a step's inputs, one graph
   * and one wait for its end. Rank 0 also sends the plan, and samples.
   */
  @ParameterizedTest
  @CsvSource({"4, 1, 1, FLAT", "4, 1, 1, HIERARCHICAL", "4, 2, 1, FLAT", "2, 2, 2, FLAT"})
  void aStepThatOnlyWritesIsOneGraphOnEachRank(
      int experts, int tensor, int slices, Strategy strategy) {
    Topology topology = new Topology(4, experts, tensor, slices);
    Hosts few = new Hosts();
    Work start = EmulatedGpus.work();
    assertEquals(4 * 6, write(few, topology, strategy, 6).size());
    Work ofFew = EmulatedGpus.work().since(start);
    Hosts many = new Hosts();
    start = EmulatedGpus.work();
    assertEquals(4 * 12, write(many, topology, strategy, 12).size());
    Work ofMany = EmulatedGpus.work().since(start);
    assertEquals(few.agreements.get(), many.agreements.get());
    assertEquals(few.broadcasts.get() + 6, many.broadcasts.get());
    assertEquals(6 * (4 + 1), ofMany.launches() - ofFew.launches(), "graphs, and sampling");
    assertEquals(6 * (4 + 1), ofMany.waits() - ofFew.waits());
  }

  /** The others wait for graphs that never end. */
  @Test
  void aRankThatFailsBetweenGraphsIsNamed() {
    String message =
        failing(
            () -> {
              throw new IllegalStateException("the power failed");
            });
    assertTrue(message.contains("rank 2 failed") && message.contains("the power failed"), message);
  }

  /** Of any rank, because they share the emulation's functions. */
  @Test
  void aGpuThatFailsInAGraphIsNamed() {
    String message = failing(() -> EmulatedGpus.failNext("cudaGraphLaunch", ILLEGAL_ADDRESS));
    assertTrue(
        message.matches(
            "(?s).*rank (\\d) failed: .*GPU \\1 \\(emulated CUDA device\\): launching a graph: .*"),
        message);
  }

  /** The message of ranks one of which meets a failure once all steps are graphs. */
  private static String failing(Runnable failure) {
    EmulatedGpus.streams(Streams.LATE);
    Hosts hosts = new Hosts();
    hosts.failure = failure;
    hosts.broadcastsUntilFailure = 12;
    return assertThrows(
            RuntimeException.class, () -> write(hosts, Topology.of(4), Strategy.FLAT, 40))
        .getMessage();
  }

  /** Streams work behind the host, and NCCL's calls return before they have enqueued anything. */
  @ParameterizedTest
  @CsvSource({"1, 1, true", "2, 2, true", "3, 1, false"})
  void late(int seed, int tensor, boolean overlapped) {
    EmulatedGpus.streams(Streams.LATE);
    EmulatedGpus.ncclIsLate(seed);
    Topology topology = new Topology(4, 4, tensor, 1);
    List<ListenerLog> found =
        texts(topology, Strategy.HIERARCHICAL, overlapped ? new Overlap(true, 2) : Overlap.NONE);
    if (tensor == 1) {
      RankedEngineTest.assertSame(expected, found);
    } else {
      RankedEngineTest.assertClose(expected, found);
    }
  }
}
