package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.GradientMessage;
import panamoe.train.TrainConfig;

class TrainingStepTest {
  private static final Node NODE = Node.KNOWN.get("dgx-a100");
  private static final Efficiency EFFICIENCY =
      new Efficiency(null, null, null, null, null, share(0.8), share(0.5), share(0.9));
  private static final double PEAK = 0.5 * 312e12;
  private static final double RATE = 0.8 * 2.039e12;
  private static final StepModel MODEL =
      new StepModel(NODE, EFFICIENCY, Optimizations.PANAMOE, Skew.EVEN);
  private static final ModelConfig DENSE = ModelPresets.paper(1024, 2, 16, 0, 0, false);
  private static final ModelConfig EXPERTS = ModelPresets.paper(1024, 2, 16, 8, 0, false);
  private static final TrainConfig TRAINING =
      TrainConfig.of(10, 16, 2048).withDType(DType.BFLOAT16);

  private static Constant share(double value) {
    return new Constant(value, "of the peak", Constant.Kind.ASSUMED, "a test");
  }

  private static StepTime time(ModelConfig config, TrainConfig training, Topology topology) {
    return time(MODEL, config, training, topology);
  }

  private static StepTime time(
      StepModel times, ModelConfig config, TrainConfig training, Topology topology) {
    try (LanguageModel model = new LanguageModel(config)) {
      return times.of(model, training, topology);
    }
  }

  /** The model without drops. */
  static ModelConfig dropless(ModelConfig config) {
    return config.withBlocks(
        config.blocks().stream()
            .map(
                block ->
                    block.feedForward() instanceof MoeConfig moe
                        ? block.withFeedForward(
                            new MoeConfig(
                                moe.experts(),
                                moe.inner(),
                                moe.activation(),
                                moe.bias(),
                                GateConfig.dropless(moe.gate().topK()),
                                moe.shared(),
                                moe.residual()))
                        : block)
            .toList());
  }

  private static double term(StepTime time, CostTerm term) {
    return time.terms().get(term);
  }

  /**
   * Each of 16 x 2048 tokens: 24 h² parameters in two layers and a head of 50257 h, and a causal
   * attention of a mean of 1024.5 keys, twice h each, two FLOPs for each.
   */
  @Test
  void aDenseModelOnOneDevice() {
    StepTime time = time(DENSE, TRAINING, Topology.ONE);
    double tokens = 16 * 2048;
    double layers = 2 * tokens * (24.0 * 1024 * 1024 + 2 * 2 * 1024 * 1024.5);
    double head = 2 * tokens * 50257 * 1024;
    assertEquals((layers + head) / PEAK, term(time, CostTerm.FORWARD), 1e-3 * layers / PEAK);
    assertEquals(2 * term(time, CostTerm.FORWARD), term(time, CostTerm.BACKWARD), 1e-12);
    assertEquals(0, term(time, CostTerm.RECOMPUTATION), 0);
    assertEquals(0, term(time, CostTerm.GRADIENTS), 0);
    assertEquals(0, term(time, CostTerm.EXCHANGE), 0);
    StepTime again = time(DENSE, TRAINING.withRecompute(true), Topology.ONE);
    // The head is not recomputed.
    assertEquals(layers / PEAK, term(again, CostTerm.RECOMPUTATION), 1e-3 * layers / PEAK);
    assertEquals(term(time, CostTerm.BACKWARD), term(again, CostTerm.BACKWARD), 1e-12);
  }

  /** 8 x 4 bytes of each parameter, and 6 for the BFLOAT16 copies of matrices and tables. */
  @Test
  void theOptimizerIsBoundByMemory() {
    double matrices = 24.0 * 1024 * 1024 + (50257.0 + 2048) * 1024;
    double vectors = 2 * (13.0 * 1024) + 2 * 1024;
    double bytes = 32 * (matrices + vectors) + 6 * matrices;
    StepTime time = time(DENSE, TRAINING, Topology.ONE);
    assertEquals(bytes / RATE, term(time, CostTerm.OPTIMIZER), 1e-9);
    // Replicas share moments; each writes its own BFLOAT16 copies.
    StepTime four = time(DENSE, TRAINING, new Topology(4, 1, 1, 1));
    double shared = 32 * (matrices + vectors) / 4 + 6 * matrices;
    assertEquals(shared / RATE, term(four, CostTerm.OPTIMIZER), 1e-9);
  }

  @Test
  void layersTakeWhatWasMeasuredBesideProducts() {
    Constant layer = new Constant(0.5, "s", Constant.Kind.ASSUMED, "a test");
    Constant activation = new Constant(1e-9, "s", Constant.Kind.ASSUMED, "a test");
    Efficiency efficiency =
        new Efficiency(null, null, layer, null, activation, share(0.8), share(0.5), share(0.9));
    StepModel times = new StepModel(NODE, efficiency, Optimizations.PANAMOE, Skew.EVEN);
    TrainConfig two = TRAINING.with(new TrainConfig.Batch(16, 2048, 2));
    StepTime time = time(times, DENSE, two, Topology.ONE);
    double kept;
    try (LanguageModel model = new LanguageModel(DENSE)) {
      kept = model.cost(Work.training(16, 2048, DType.BFLOAT16)).kept();
    }
    double beside = 2 * 2 * 0.5 + kept * 1e-9;
    double without = time(DENSE, two, Topology.ONE).seconds();
    assertEquals(without + beside, time.seconds(), 1e-9 * time.seconds());
    // The layers' part of the forward is recomputed.
    double again = time(times, DENSE, two.withRecompute(true), Topology.ONE).seconds();
    assertTrue(again - time.seconds() > 2 * 2 * 0.5 / 3);
  }

  /** Rows sorted by expert are copies, not activations. */
  @Test
  void rowsByExpertAreNoActivations() {
    try (LanguageModel model = new LanguageModel(EXPERTS)) {
      MoeLayer layer = model.moeLayers().getFirst();
      Work work = Work.training(2, 2048, DType.BFLOAT16);
      double rows = 2 * 2048 * 1024 * 2; // top-1 in BFLOAT16
      assertEquals(rows, layer.dispatched(work));
      assertEquals(4 * rows, layer.dispatched(work.over(Topology.of(8))));
    }
  }

  @Test
  void microBatchesRepeatAllButGradientsAndOptimizer() {
    Topology topology = Topology.of(8);
    StepTime one = time(EXPERTS, TRAINING, topology);
    StepTime two = time(EXPERTS, TRAINING.with(new TrainConfig.Batch(16, 2048, 2)), topology);
    assertEquals(term(one, CostTerm.FORWARD), term(two, CostTerm.FORWARD), 1e-2 * one.seconds());
    assertEquals(term(one, CostTerm.GRADIENTS), term(two, CostTerm.GRADIENTS), 0);
    assertTrue(term(two, CostTerm.EXCHANGE) > term(one, CostTerm.EXCHANGE));
  }

  /** Eight ranks of one node: 7 peers, and 7/8 of the rows of 2 x 2048 tokens that are kept. */
  @Test
  void rowsTravelFourTimesAStep() {
    StepTime time = time(EXPERTS, TRAINING, Topology.of(8));
    double kept = 1 - time.dropped();
    double way = 7e-6 + 7 * 0.69e-6 + kept * 4096 * 1024 * 2 * 7 / 8 / 240e9;
    assertEquals(4 * way, term(time, CostTerm.EXCHANGE), 1e-9);
    StepTime again = time(EXPERTS, TRAINING.withRecompute(true), Topology.of(8));
    assertEquals(6 * way, term(again, CostTerm.EXCHANGE), 1e-9);
    // Capacity 512 of 4096 / 8 expected: a normal distribution loses 0.4 of its deviation of 21.2.
    assertEquals(0.399 * 21.17 / 512, time.dropped(), 1e-4);
  }

  /** The rank of the hottest expert computes 3 x 2 x 8 h² FLOPs for each row beyond the mean. */
  @Test
  void allWaitForTheRankOfTheHottestExpert() {
    ModelConfig dropless = dropless(EXPERTS);
    StepModel skewed = new StepModel(NODE, EFFICIENCY, Optimizations.PANAMOE, new Skew.Zipf(1));
    StepTime time = time(skewed, dropless, TRAINING, Topology.of(8));
    // 1 of 1 + 1/2 + ... + 1/8 = 761/280 of all tokens.
    double hottest = 16 * 2048 * 280 / 761.0;
    double late = 6 * 8.0 * 1024 * 1024 * (hottest - 4096) / PEAK;
    assertEquals(late, term(time, CostTerm.IMBALANCE), 1e-3 * late);
    assertEquals(0, time.dropped(), 1e-12);
    double even = term(time(dropless, TRAINING, Topology.of(8)), CostTerm.IMBALANCE);
    assertTrue(even < 0.02 * late && even > 0);
  }

  /** Of 32 ranks on four nodes: all hold the dense weights, two hold each of 16 experts. */
  @Test
  void gradientsTravelInRings() {
    ModelConfig config = ModelPresets.paper(1024, 2, 16, 16, 0, false);
    Topology topology = Topology.of(32);
    Ring everyone = new Ring(NODE, 32, 8);
    Ring two = new Ring(NODE, 2, 1);
    double bytes = 1 << 20;
    // Eight NICs of 22 GB/s each are 176 GB/s, less than the node's own 240.
    double all = 14e-6 + 3 * 2e-6 + 28 * 0.69e-6 + bytes * 31 / 32 / 176e9;
    assertEquals(all, everyone.seconds(1, bytes), 1e-12);
    double pair = 14e-6 + 2e-6 + bytes / 2 / 22e9;
    assertEquals(pair, two.seconds(1, bytes), 1e-12);
    double node = 7e-6 + 7 * 0.69e-6 + bytes * 7 / 8 / 240e9;
    assertEquals(node, new Ring(NODE, 8, 8).seconds(1, bytes), 1e-12);
    try (LanguageModel model = new LanguageModel(config)) {
      List<GradientMessage> messages = GradientMessage.of(model, topology);
      double seconds = 0;
      for (GradientMessage message : messages) {
        assertEquals(message.experts() ? 2 : 32, message.replicas());
        double sent = 4.0 * message.elements();
        seconds += 2 * (message.experts() ? two.seconds(1, sent) : everyone.seconds(1, sent));
      }
      assertEquals(seconds, new GradientTime(NODE, topology).seconds(messages), 1e-12);
      // One expert of each layer, and all that is not an expert.
      double experts = 8.0 * 1024 * 1024 + 5 * 1024;
      assertEquals(
          experts,
          messages.stream()
              .filter(GradientMessage::experts)
              .mapToLong(GradientMessage::elements)
              .sum(),
          0);
    }
  }

  @Test
  void tensorRanksSumActivationsAndTheirGradients() {
    StepTime time = time(DENSE, TRAINING, new Topology(4, 1, 4, 1));
    double bytes = 16 * 2048 * 1024 * 2.0;
    double sum = 7e-6 + 6 * 0.69e-6 + 2 * bytes * 3 / 4 / 240e9;
    // After attention and MLP of two layers, forward and backward.
    assertEquals(8 * sum, term(time, CostTerm.ALL_REDUCE), 1e-9);
  }

  @Test
  void thePapersThroughputs() {
    PaperTraining training = PaperTraining.fitted(Paper.fitted().efficiency());
    List<PaperTraining.Prediction> both = training.predictions();
    assertEquals(0, both.get(0).error(), 1e-6);
    assertEquals(0, both.get(1).error(), 0.2);
    assertEquals(5.31, training.faster(each -> each.point().samples()), 0.01);
    assertTrue(training.faster(PaperTraining.Prediction::samples) > 4);
    // 6 x 6.66e9 FLOPs a token at 8960 tokens/s and device are 0.14 of the peak, without attention
    // and recomputation: at least a third more with these.
    double share = training.efficiency().flops().value();
    assertTrue(share > 0.14 * 4 / 3 && share < 0.25, "" + share);
  }
}
