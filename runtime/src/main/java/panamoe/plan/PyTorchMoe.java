package panamoe.plan;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.plan.Constant.Kind;

/**
 * The DeepSpeed-MoE paper's baseline in PyTorch: one-hot masks [S, E, C] instead of index tables, a
 * flat exchange padded to every expert's capacity, experts that compute the padding, and kernels
 * launched one by one.
 *
 * @param efficiency of the paper's own system; the baseline is assumed to reach the same shares
 * @param layer overhead of a layer in seconds, fitted to a dense model
 * @param gate additional overhead of an MoE layer in seconds, fitted to one point
 */
record PyTorchMoe(Efficiency efficiency, Constant layer, Constant gate) {
  private static final Node NODE = PaperPoint.NODE;
  private static final Optimizations NONE = new Optimizations(Strategy.FLAT, false, false);
  private static final int MOST_GPUS = 128;

  /** C: minimum capacity of an expert per GPU. With 8 tokens no larger one is needed. */
  private static final Constant CAPACITY =
      Kind.PUBLISHED.of(4, "rows", "min_capacity of DeepSpeed's layer (moe/layer.py)");

  /** Published baseline latencies on at most 128 GPUs (figures 10, 11 and 14). */
  static final Map<PaperPoint, Double> PUBLISHED_MS = published();

  /** 6.7B on one GPU (figure 14). */
  private static final double DENSE_MS = 27.8;

  private static Map<PaperPoint, Double> published() {
    double[] ms = {56.4, 49.7, 46.0, 43.8, 55.3, 57.7, 138.9, 174.0, 332.4};
    Map<PaperPoint, Double> all = new LinkedHashMap<>();
    for (int i = 0; i < ms.length; i++) {
      all.put(PaperPoint.ALL.get(i), ms[i]);
    }
    return all;
  }

  /** Fits the overheads of layers and gates. */
  static PyTorchMoe fitted(Efficiency efficiency) {
    // Each overhead is the rest of its point's time, so both start near 0.
    PyTorchMoe none = new PyTorchMoe(efficiency, constant(1e-12, ""), constant(1e-12, ""));
    double beside = none.dense("6.7B", 1).seconds();
    Constant layer = constant((DENSE_MS / 1e3 - beside) / layers("6.7B"), "6.7B@1, dense");
    PyTorchMoe layers = new PyTorchMoe(efficiency, layer, none.gate);
    PaperPoint point = PaperPoint.ALL.getFirst();
    double left = PUBLISHED_MS.get(point) / 1e3 - layers.stages(point).getFirst().seconds();
    return new PyTorchMoe(
        efficiency, layer, constant(left / moeLayers(point.model()), point.name() + " in PyTorch"));
  }

  private static Constant constant(double seconds, String point) {
    return new Constant(seconds, "s", Kind.FITTED, "the time of " + point);
  }

  private static long layers(String model) {
    return NamedModels.of(model).blocks().size();
  }

  private static long moeLayers(String model) {
    return NamedModels.of(model).blocks().stream().filter(block -> block.experts() > 0).count();
  }

  Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    all.put("pytorch_layer", layer);
    all.put("pytorch_gate", gate);
    all.put("pytorch_places", CAPACITY);
    return all;
  }

  /** A dense model's step, tensor-parallel over all GPUs, with PyTorch's layer overhead. */
  StepTime dense(String model, int gpus) {
    Work work = PaperPoint.work(new Topology(gpus, 1, gpus, 1));
    try (LanguageModel described = new LanguageModel(NamedModels.of(model))) {
      return new StepModel(NODE, efficiency.with("layer", layer), NONE).of(described, work);
    }
  }

  /**
   * Latencies in PyTorch and after each of the paper's optimizations, cumulatively; the last is the
   * paper's own system.
   */
  List<Paper.Without> stages(PaperPoint point) {
    int gpus = Math.min(point.gpus(), MOST_GPUS);
    Topology topology = new Topology(gpus, gpus, point.tensor(), 1);
    Efficiency eager = efficiency.with("layer", layer);
    double gates = moeLayers(point.model()) * gate.value();
    double padding = padding(point.model(), PaperPoint.work(topology));
    double flat = point.predict(eager, NONE, gpus, 1).seconds() + gates;
    Optimizations all = Optimizations.PAPER;
    List<Paper.Without> stages = new ArrayList<>();
    stages.add(new Paper.Without("PyTorch", flat + padding));
    stages.add(new Paper.Without("index tables instead of masks", flat));
    stages.add(
        new Paper.Without(
            "hierarchical, coordinated exchange",
            point.predict(eager, all, gpus, 1).seconds() + gates));
    stages.add(
        new Paper.Without("fused kernels", point.predict(efficiency, all, gpus, 1).seconds()));
    if (point.slices() > 1) {
      stages.add(
          new Paper.Without(
              "expert slicing on twice the GPUs", point.predict(efficiency, all).seconds()));
    }
    return stages;
  }

  /**
   * Seconds spent on empty capacity slots: in both mask products, in the exchange, and in experts.
   */
  private double padding(String model, Work work) {
    ExchangeTime exchange = new ExchangeTime(NODE, work.topology(), NONE);
    double seconds = 0;
    try (LanguageModel described = new LanguageModel(NamedModels.of(model))) {
      Iterator<MoeLayer> layers = described.moeLayers().iterator();
      for (BlockConfig block : described.config().blocks()) {
        if (block.feedForward() instanceof MoeConfig moe) {
          seconds += padding(exchange, work, described.config().hidden(), moe, layers.next());
        }
      }
    }
    return seconds;
  }

  private double padding(
      ExchangeTime exchange, Work work, int hidden, MoeConfig moe, MoeLayer layer) {
    double rate = NODE.bandwidth().value() * efficiency.bandwidth().value();
    double peak = NODE.flops().of(work.dtype()).value() * efficiency.flops().value();
    int degree = work.topology().expertDegree(moe.experts());
    double places = moe.experts() * CAPACITY.value();
    double bytes = places * hidden * work.dtype().bytes();
    double masks = Math.max(2 * bytes / rate, 2 * work.tokens() * places * hidden / peak);
    ExchangeTime.Rows kept = new ExchangeTime.Rows(work.tokens(), work.bytes(hidden));
    double moved =
        exchange.exchange(degree, new ExchangeTime.Rows(places, bytes))
            - exchange.exchange(degree, kept);
    double elements = layer.costOfExperts(work, 1, 0).flops() / 2; // per row
    int held = work.topology().mostExperts(moe.experts());
    double read = held * elements * work.dtype().bytes() / rate;
    double computed = 2 * held * degree * CAPACITY.value() * elements / peak;
    return 2 * masks + moved + Math.max(0, computed - read);
  }
}
