package panamoe.plan;

import java.util.ArrayList;
import java.util.List;
import panamoe.comm.exchange.Strategy;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/**
 * A published latency of the DeepSpeed-MoE paper, on A100 GPUs of 40 GB.
 *
 * @param model a name of {@link NamedModels}
 * @param tensor tensor-parallel degree of attention and MLPs
 * @param milliseconds of a decode step of 8 sequences per tensor group
 * @param figure of the paper
 */
public record PaperPoint(String model, int gpus, int tensor, double milliseconds, String figure) {
  static final Node NODE = Node.KNOWN.get("dgx-a100-40");

  /** Throughput times latency is 8 tokens per tensor group in every chart. */
  static final int BATCH = 8;

  /** Assumed: the paper does not give the length of its sequences. */
  static final int CACHED = 128;

  public static final List<PaperPoint> ALL =
      List.of(
          new PaperPoint("1.3B+MoE-128", 8, 1, 27.3, "10"),
          new PaperPoint("1.3B+MoE-128", 16, 1, 19.15, "10"),
          new PaperPoint("1.3B+MoE-128", 32, 1, 14.65, "10"),
          new PaperPoint("1.3B+MoE-128", 64, 1, 12.9, "10"),
          new PaperPoint("1.3B+MoE-128", 128, 1, 12.4, "14"),
          new PaperPoint("2.4B+MoE-128", 128, 1, 10.5, "11"),
          new PaperPoint("8B+MoE-128", 128, 4, 23.5, "11"),
          new PaperPoint("24B+MoE-128", 256, 8, 24.2, "11"),
          new PaperPoint("47B+MoE-128", 256, 8, 45.4, "11"));

  /** The points that constants are fitted to: one model, with many and with few experts per GPU. */
  public static final List<PaperPoint> FITTED = List.of(ALL.get(0), ALL.get(3));

  /** The distilled student of the fifth point's model. */
  static final PaperPoint STUDENT = new PaperPoint("1.3B+PR-MoE-64/128+MoS", 128, 1, 11.5, "14");

  private static final int MOST_PLACES = 128;

  public String name() {
    return model + "@" + gpus;
  }

  double seconds() {
    return milliseconds / 1e3;
  }

  /** Expert slices: with more GPUs than experts, each GPU holds a part of one. */
  int slices() {
    return Math.max(1, gpus / MOST_PLACES);
  }

  /** The predicted step time on this point's GPUs. */
  StepTime predict(Efficiency efficiency, Optimizations optimizations) {
    return predict(efficiency, optimizations, gpus, slices());
  }

  /**
   * Predicts the point with another number of GPUs or slices; with fewer slices, more GPUs hold
   * copies of an expert.
   */
  StepTime predict(Efficiency efficiency, Optimizations optimizations, int gpus, int slices) {
    Work work = work(new Topology(gpus, Math.min(MOST_PLACES, gpus / slices), tensor, slices));
    try (LanguageModel described = new LanguageModel(NamedModels.of(model))) {
      return new StepModel(NODE, efficiency, optimizations).of(described, work);
    }
  }

  /** A decode step of the sequences of the charts. */
  static Work work(Topology topology) {
    return Work.decode(BATCH, CACHED, DType.BFLOAT16).over(topology);
  }

  /** The latency without each of the optimizations that this point uses. */
  List<Paper.Without> ablation(Efficiency efficiency) {
    Optimizations all = Optimizations.PAPER;
    Optimizations flat = all.with(Strategy.FLAT);
    List<Paper.Without> without = new ArrayList<>();
    if (gpus > NODE.devices()) {
      without.add(without("hierarchical exchange", efficiency, flat, slices()));
    }
    if (tensor > 1) {
      without.add(without("coordinated exchange", efficiency, all.uncoordinated(), slices()));
    }
    if (slices() > 1) {
      without.add(without("expert slicing", efficiency, all, 1));
    }
    if (without.size() > 1) {
      without.add(without("any of these", efficiency, flat.uncoordinated(), 1));
    }
    return without;
  }

  private Paper.Without without(
      String name, Efficiency efficiency, Optimizations optimizations, int slices) {
    return new Paper.Without(name, predict(efficiency, optimizations, gpus, slices).seconds());
  }
}
