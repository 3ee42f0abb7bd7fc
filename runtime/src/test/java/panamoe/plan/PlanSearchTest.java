package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.EveryPart;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.open.InferenceMemory;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.WeightTypes;
import panamoe.plan.PlanSearch.Found;
import panamoe.tensor.DType;

class PlanSearchTest {
  private static final Efficiency EFFICIENCY = Paper.fitted().efficiency();

  private static PlanSearch search(String model, String cluster, long batch) {
    return search(model, Cluster.of(cluster), batch);
  }

  private static PlanSearch search(String model, Cluster devices, long batch) {
    ModelConfig config = NamedModels.of(model);
    StepModel times = new StepModel(devices.node(), EFFICIENCY, Optimizations.PANAMOE);
    return new PlanSearch(
        model,
        devices,
        new ServingObjective(config, times, DType.BFLOAT16, batch, config.context()));
  }

  private static String tooSlow(PlanSearch search, double seconds) {
    Found found = search.find(_ -> {});
    return refusal(() -> search.within(seconds, found));
  }

  private static String refusal(Runnable search) {
    return assertThrows(IllegalArgumentException.class, search::run).getMessage();
  }

  /** Compares with every topology of degrees 1 to 64. */
  @Test
  void nothingBeatsTheFront() {
    PlanSearch search = search("350M+PR-MoE-32/64", "dgx-a100-40:16", 8);
    List<Plan> front = search.find(_ -> {}).front();
    List<Plan> all = new ArrayList<>();
    try (LanguageModel model = new LanguageModel(search.objective().config())) {
      for (int ranks : List.of(1, 2, 4, 8, 16)) {
        for (int tensor : List.of(1, 2, 4, 8)) {
          for (int slices = 1; slices <= tensor; slices++) {
            for (int degree = 1; degree <= 64; degree++) {
              try {
                add(all, search, model, new Topology(ranks, degree, tensor, slices));
              } catch (IllegalArgumentException _) {
                // Degrees that do not divide.
              }
            }
          }
        }
      }
    }
    assertTrue(all.size() > 100, all.size() + " plans");
    for (Plan plan : front) {
      assertTrue(all.stream().noneMatch(plan::isBeatenBy), plan.toString());
    }
    for (Plan plan : all) {
      boolean beaten =
          front.stream()
              .anyMatch(
                  other ->
                      plan.isBeatenBy(other)
                          || other.devices() == plan.devices()
                              && other.seconds() == plan.seconds()
                              && other.deviceSeconds() == plan.deviceSeconds());
      assertTrue(beaten, plan.toString());
    }
  }

  private static void add(
      List<Plan> all, PlanSearch search, LanguageModel model, Topology topology) {
    int context = search.objective().context();
    Work work = Work.decode(8, context - 1L, DType.BFLOAT16).over(topology);
    InferenceMemory memory = GpuMemories.serving(model, work, context);
    if (memory.total() <= search.objective().times().room()) {
      for (Strategy strategy : List.of(Strategy.FLAT, Strategy.HIERARCHICAL)) {
        StepTime time = search.objective().times().with(strategy).of(model, work);
        all.add(new Plan(topology, strategy, 8L * topology.dataDegree(), memory, time, null, null));
      }
    }
  }

  /** Also after other topologies. */
  @Test
  void memoryIsCountedForEachTopology() {
    ModelConfig config = NamedModels.of("350M+PR-MoE-32/64");
    try (GpuMemories memories = new GpuMemories(config)) {
      for (Cluster part : Cluster.of("dgx-a100-40:64").parts()) {
        for (Topology topology : new ParallelDegrees(config).topologies(part)) {
          Work work = Work.decode(8, 511, DType.BFLOAT16).over(topology);
          assertEquals(
              GpuMemories.serving(memories.model(), work, 512),
              memories.serving(work, 512),
              topology.toString());
        }
      }
    }
  }

  @Test
  void everyPlanFitsAndIsFastEnough() {
    PlanSearch search = search("24B+MoE-128", "dgx-a100:64", 8);
    Found found = search.within(0.04, search.find(_ -> {}));
    assertFalse(found.front().isEmpty());
    for (Plan plan : found.front()) {
      assertTrue(plan.memory().total() <= search.objective().times().room());
      assertTrue(plan.seconds() <= 0.04);
    }
    assertEquals(List.of(1, 2, 4, 8, 16), found.misfits().stream().map(m -> m.devices()).toList());
    assertEquals("weights", found.misfits().getLast().least().largestName());
  }

  @Test
  void whatIsTooLargeIsNamedWithWhatWouldDo() {
    assertEquals(
        "47B+MoE-128 does not fit on dgx-a100-40:64: a device needs 79.2 GB, of which 71.1 GB are"
            + " weights, and has room for 38.7 GB; it fits on dgx-a100-40:256",
        refusal(() -> search("47B+MoE-128", "dgx-a100-40:64", 8).find(_ -> {})));
    String part = refusal(() -> search("8B+PR-MoE-64/128", "dgx-a100:4", 8).find(_ -> {}));
    assertTrue(part.endsWith("; it fits on dgx-a100:8"), part);
    Node a100 = Node.KNOWN.get("dgx-a100");
    Node own =
        new Node(
            "own",
            8,
            a100.memory(),
            a100.bandwidth(),
            a100.flops(),
            a100.near(),
            a100.far(),
            a100.copy());
    String file = refusal(() -> search("8B+PR-MoE-64/128", new Cluster(own, 4), 8).find(_ -> {}));
    assertTrue(
        file.endsWith("; it fits on 8 devices (\"cards\": 8 in the file of the cluster)"), file);
    String many = refusal(() -> search("1.3B", "dgx-h100:8", 4096).find(_ -> {}));
    assertTrue(
        many.contains(" are keys and values, and has room for 77.0 GB; take devices with"), many);
    String slow = tooSlow(search("24B+MoE-128", "dgx-a100:32", 8), 0.024);
    assertTrue(
        slow.startsWith("no plan on dgx-a100:32 takes at most 24.00 ms for a token: the fastest"),
        slow);
    assertTrue(slow.contains("; dgx-a100:256 takes 2"), slow);
    String never = tooSlow(search("1.3B+MoE-128", "dgx-h100:8", 8), 1e-6);
    assertTrue(never.endsWith("more of these devices do not help, a smaller --batch may"), never);
  }

  @Test
  void refusesWhatMakesNoSense() {
    assertEquals(
        "the batch is 0, expected 1 to 65536 sequences",
        refusal(() -> search("1.3B", "dgx-h100:8", 0)));
    assertTrue(refusal(() -> NamedModels.of("24B")).startsWith("'24B' is none of 1.3B, "));
    assertTrue(refusal(() -> NamedModels.of("1.3B+MoE-18")).endsWith("did you mean 1.3B+MoE-128?"));
    assertTrue(refusal(() -> Cluster.of("dxg-h100:8")).endsWith("did you mean dgx-h100?"));
    assertEquals(
        "12 devices are not whole nodes of 8 devices; take 8 or 16",
        refusal(() -> Cluster.of("dgx-h100:12")));
    assertEquals(
        "a cluster has 0 devices, expected 1 to 65536", refusal(() -> Cluster.of("dgx-h100:0")));
    assertTrue(
        refusal(() -> Cluster.of("dgx-h100:many")).startsWith("'many' is not a number of GPUs"));
    assertEquals(
        "'dgx:8' is neither a file nor NODE:GPUS with a node of dgx-a100, dgx-a100-40, dgx-b200,"
            + " dgx-h100, hgx-h200",
        refusal(() -> Cluster.of("dgx:8")));
  }

  @Test
  void namesHaveNoCase() {
    assertEquals(NamedModels.of("1.3B+MoE-128"), NamedModels.of("1.3b+moe-128"));
    assertEquals(Cluster.of("dgx-h100:8"), Cluster.of("DGX-H100:8"));
  }

  @Test
  void denseModelsArePlannedToo() {
    Found found = search("6.7B", "dgx-h100:16", 8).find(_ -> {});
    assertEquals(1, found.smallest().devices());
    for (Plan plan : found.front()) {
      assertEquals(1, plan.topology().expertDegree());
      assertEquals(0, plan.time().terms().get(CostTerm.EXPERTS), 0);
    }
  }

  static Stream<Topology> sharings() {
    return Stream.of(
        Topology.ONE,
        Topology.of(3),
        new Topology(4, 2, 2, 1),
        new Topology(4, 1, 2, 2),
        new Topology(8, 4, 4, 2));
  }

  /** Compares weights with a model that is built on ranks as threads. */
  @ParameterizedTest
  @MethodSource("sharings")
  void memoryIsThatOfTheFullestRank(Topology topology) {
    ModelConfig config = EveryPart.sliceable(topology.tensorDegree());
    WeightTypes types = WeightTypes.of(DType.BFLOAT16);
    long most =
        ThreadWorld.of(topology.ranks())
            .run(
                world -> {
                  Ranks place = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
                  try (LanguageModel share = new LanguageModel(config, place)) {
                    return share.parameters().parameters().stream()
                        .mapToLong(
                            parameter ->
                                parameter.valueDType(types.compute()).bytes(parameter.count()))
                        .sum();
                  }
                })
            .stream()
            .max(Long::compare)
            .orElseThrow();
    long beside = config.head().tied() ? (long) config.vocabulary() * config.hidden() * 2 : 0;
    try (LanguageModel whole = new LanguageModel(config)) {
      Work work = Work.decode(3, 7, DType.BFLOAT16).over(topology);
      InferenceMemory memory = GpuMemories.serving(whole, work, 8);
      assertEquals(most + beside, memory.weights());
      InferenceMemory alone = InferenceMemory.of(config, types, DType.BFLOAT16, 8, false);
      // Tensor ranks share heads, but each holds the whole rows of latent attention.
      assertTrue(memory.keysAndValues() <= 3 * alone.keysAndValues());
      assertTrue(memory.keysAndValues() >= 3 * alone.keysAndValues() / topology.tensorDegree());
      assertTrue(memory.buffers() >= whole.cost(work).kept());
    }
  }

  /** Four data ranks of 8 sequences generate 32 tokens in 20 ms on 8 devices. */
  @Test
  void aTokenCostsItsShareOfAllDevices() {
    StepTime time = StepTime.of(CostTerm.SERVING, Map.of(CostTerm.LAYERS, 0.02), 0);
    Plan plan = new Plan(new Topology(8, 4, 2, 1), Strategy.FLAT, 32, null, time, null, null);
    assertEquals(1600, plan.tokensPerSecond(), 1e-9);
    assertEquals(0.005, plan.deviceSeconds(), 1e-12);
  }

  @Test
  void tensorRanksShareKeysAndValues() {
    ModelConfig config = NamedModels.of("350M");
    Work work = Work.decode(3, 99, DType.BFLOAT16).over(new Topology(8, 1, 4, 1));
    try (LanguageModel model = new LanguageModel(config)) {
      long bytes = 3L * 100 * 24 * 2 * 1024 * 2 / 4;
      assertEquals(bytes, GpuMemories.serving(model, work, 100).keysAndValues());
      assertEquals(bytes, model.cost(work).cache());
    }
  }

  @Test
  void anInterruptEndsIt() {
    Thread.currentThread().interrupt();
    assertThrows(CancellationException.class, () -> search("1.3B", "dgx-h100:8", 8).find(_ -> {}));
    assertTrue(Thread.interrupted());
  }
}
