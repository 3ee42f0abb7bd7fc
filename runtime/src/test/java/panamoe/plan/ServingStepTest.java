package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.open.ExpertHeat;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

class ServingStepTest {
  private static final Node NODE = Node.KNOWN.get("dgx-h100");
  private static final Efficiency EFFICIENCY =
      Efficiency.of(
          Map.of(
              "layer",
              constant(1e-4),
              "expert",
              constant(1e-5),
              "bandwidth_share",
              new Constant(0.8, "of the peak", Constant.Kind.ASSUMED, "a test"),
              "flops_share",
              new Constant(0.5, "of the peak", Constant.Kind.ASSUMED, "a test")));
  private static final double RATE = 0.8 * NODE.bandwidth().value();
  private static final double PEAK =
      EFFICIENCY.flops().value() * NODE.flops().of(DType.BFLOAT16).value();
  private static final StepModel MODEL = new StepModel(NODE, EFFICIENCY, Optimizations.PANAMOE);
  private static final ModelConfig DENSE = ModelPresets.paper(1024, 2, 16, 0, 0, false);
  private static final ModelConfig EXPERTS = ModelPresets.paper(1024, 2, 16, 64, 0, true);

  private static Constant constant(double value) {
    return new Constant(value, "s", Constant.Kind.ASSUMED, "a test");
  }

  private static StepTime time(ModelConfig config, Work work) {
    try (LanguageModel model = new LanguageModel(config)) {
      return MODEL.of(model, work);
    }
  }

  /** One sequence waits for memory, very many for FLOPs. */
  @ParameterizedTest
  @ValueSource(longs = {1, 100, 20_000})
  void aLayerTakesTheLongerOfBytesAndFlops(long sequences) {
    Work work = Work.decode(sequences, 99, DType.BFLOAT16);
    StepTime time = time(DENSE, work);
    double expected = 2e-4;
    try (LanguageModel model = new LanguageModel(DENSE)) {
      Cost all = model.cost(work);
      double bytes = all.bytes();
      double flops = all.flops();
      for (Cost block : model.blockCosts(work)) {
        expected += Math.max(block.bytes() / RATE, block.flops() / PEAK);
        bytes -= block.bytes();
        flops -= block.flops();
      }
      expected += Math.max(bytes / RATE, flops / PEAK);
    }
    assertEquals(expected, time.seconds(), 1e-9 * expected);
    assertEquals(sequences > 1000, time.terms().get(CostTerm.COMPUTE) > 0);
    double cached = sequences * 100.0 * 2 * 1024 * 2 * 2; // tokens, K and V, width, bytes, layers
    assertEquals(cached / RATE, time.terms().get(CostTerm.KEYS_AND_VALUES), 1e-9 * cached / RATE);
    assertEquals(0, time.terms().get(CostTerm.EXCHANGE), 0);
    assertEquals(0, time.terms().get(CostTerm.ALL_REDUCE), 0);
  }

  @Test
  void anExpertThatNoTokenChoseIsNotRead() {
    Work work = Work.decode(8, 0, DType.BFLOAT16);
    double hit = 64 * (1 - Math.pow(63.0 / 64, 8));
    double expert = (8.0 * 1024 * 1024) * 2 + 5 * 1024 * 4; // two matrices, and their biases
    StepTime time = time(EXPERTS, work);
    assertEquals(hit * expert / RATE, time.terms().get(CostTerm.EXPERTS), 1e-9);
    assertEquals(hit * 1e-5, time.terms().get(CostTerm.EXPERT_CALLS), 1e-12);
    try (LanguageModel model = new LanguageModel(EXPERTS)) {
      StepTime all = new StepModel(NODE, EFFICIENCY, Optimizations.PAPER).of(model, work);
      assertEquals(64 * expert / RATE, all.terms().get(CostTerm.EXPERTS), 1e-9);
      MoeLayer layer = model.moeLayers().getFirst();
      double read = layer.costOfExperts(work, 8, hit).experts();
      assertEquals(read / RATE, time.terms().get(CostTerm.EXPERTS), 1e-9);
    }
  }

  /** The engine prefills 512 tokens at a time. */
  @Test
  void aPromptIsReadInPieces() {
    StepModel times = new StepModel(NODE, EFFICIENCY, Optimizations.PANAMOE);
    DType dtype = DType.BFLOAT16;
    try (LanguageModel model = new LanguageModel(EXPERTS)) {
      double first =
          times.of(model, new Work(false, false, 1, 0, 512, 0, dtype, Topology.ONE)).seconds();
      double rest =
          times.of(model, new Work(false, false, 1, 512, 88, 1, dtype, Topology.ONE)).seconds();
      double prompt = times.ofPrompt(model, 600, dtype, Topology.ONE).seconds();
      assertEquals(first + rest, prompt, 1e-9 * prompt);
      assertEquals(
          times.of(model, Work.prefill(512, dtype)),
          times.ofPrompt(model, 512, dtype, Topology.ONE));
    }
  }

  @Test
  void tensorRanksShareWeightsAndSumWhatTheyComputed() {
    Work one = Work.decode(8, 99, DType.BFLOAT16);
    StepTime whole = time(EXPERTS, one);
    StepTime shared = time(EXPERTS, one.over(new Topology(4, 4, 4, 1)));
    assertEquals(
        whole.terms().get(CostTerm.KEYS_AND_VALUES) / 4,
        shared.terms().get(CostTerm.KEYS_AND_VALUES),
        1e-12);
    assertTrue(shared.terms().get(CostTerm.WEIGHTS) < whole.terms().get(CostTerm.WEIGHTS));
    // Of two attentions, an MLP, and the MLP beside the experts.
    double bytes = 8 * 1024 * 2;
    double ring = 7e-6 + 6 * 0.69e-6 + 2 * bytes * 3 / 4 / 371e9;
    assertEquals(4 * ring, shared.terms().get(CostTerm.ALL_REDUCE), 1e-12);
    assertTrue(shared.terms().get(CostTerm.EXCHANGE) > 0);
  }

  /** Of 64 ranks with one expert each, practically always some rank gets a token. */
  @Test
  void theFullestRankCounts() {
    StepTime time = time(EXPERTS, Work.decode(8, 0, DType.BFLOAT16).over(Topology.of(64)));
    double expert = (8.0 * 1024 * 1024) * 2 + 5 * 1024 * 4;
    assertEquals(expert / RATE, time.terms().get(CostTerm.EXPERTS), 1e-3 * expert / RATE);
    assertEquals(1e-5, time.terms().get(CostTerm.EXPERT_CALLS), 1e-8);
  }

  /** The MLP next to the experts takes longer than dispatch and hides it. */
  @Test
  void aResidualHidesTheWayThere() {
    Work work = Work.decode(8, 0, DType.BFLOAT16).over(Topology.of(8));
    StepTime waits = time(EXPERTS, work);
    Optimizations overlapping = Optimizations.PANAMOE.overlapping(1);
    try (LanguageModel model = new LanguageModel(EXPERTS)) {
      StepTime hides = new StepModel(NODE, EFFICIENCY, overlapping).of(model, work);
      double beside = model.moeLayers().getFirst().costOverlapped(work).bytes() / RATE;
      double there = waits.terms().get(CostTerm.EXCHANGE) / 2;
      // The MLP's 8 h² and two coefficients of h, and the biases of 4 h and h, and 2.
      double bytes = 8.0 * 1024 * 1024 * 2 + (2 * 1024 + 5 * 1024 + 2) * 4;
      assertEquals(bytes / RATE, beside, 1e-12);
      assertEquals(
          2 * there - Math.min(there, beside), hides.terms().get(CostTerm.EXCHANGE), 1e-12);
      assertEquals(waits.terms().get(CostTerm.EXPERTS), hides.terms().get(CostTerm.EXPERTS), 0);
    }
  }

  /** Each part would read its experts again, which no term counts. */
  @Test
  void servingIsNotPlannedInParts() {
    String refusal =
        assertThrows(
                IllegalArgumentException.class,
                () -> {
                  StepModel times =
                      new StepModel(NODE, EFFICIENCY, Optimizations.PANAMOE.overlapping(2));
                  new ServingObjective(DENSE, times, DType.BFLOAT16, 8, 8);
                })
            .getMessage();
    assertTrue(refusal.startsWith("the overlap is 2 parts; serving is planned with"), refusal);
  }

  /** All tokens choose one expert: its rank has the rows of all. */
  @Test
  void skewMakesOneRankLate() {
    Work work = Work.decode(4096, 0, DType.BFLOAT16).over(Topology.of(64));
    long[] counts = new long[64];
    counts[5] = 100;
    Skew one = new Skew.Measured("a test", List.of(new ExpertHeat.Layer(1, counts)));
    try (LanguageModel model = new LanguageModel(EXPERTS)) {
      StepTime skewed = new StepModel(NODE, EFFICIENCY, Optimizations.PANAMOE, one).of(model, work);
      double flops = 2 * 64 * 4096 * 8.0 * 1024 * 1024;
      double expert = (8.0 * 1024 * 1024) * 2 + 5 * 1024 * 4;
      assertEquals(expert / RATE, skewed.terms().get(CostTerm.EXPERTS), 1e-12);
      double more =
          skewed.terms().get(CostTerm.COMPUTE) - time(EXPERTS, work).terms().get(CostTerm.COMPUTE);
      // With even routes, the fullest rank has about 1.04 times 4096 rows.
      assertEquals(flops / PEAK * 63 / 64, more, 0.01 * more);
      // All rows of 56 ranks come to it from other nodes, and return.
      double far = 2 * 56 * 4096.0 * 1024 * 2 / NODE.far().bandwidth().value();
      assertEquals(far, skewed.terms().get(CostTerm.EXCHANGE), 0.05 * far);
    }
  }
}
