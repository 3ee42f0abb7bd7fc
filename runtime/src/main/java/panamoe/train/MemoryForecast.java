package panamoe.train;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.io.Count;
import panamoe.io.MemoryParts;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The memory in bytes that training takes on the rank that holds most, counted tensor by tensor as
 * the ops allocate them and with evenly loaded experts. Scratch memory of kernels and the
 * allocator's rounding are not included. A test checks that the sum is within a tenth of a run's
 * real memory.
 *
 * @param weights FLOAT32 masters, and BFLOAT16 copies of matrices when computing in bfloat16; with
 *     adapters these of the adapters, and all else as for inference
 * @param gradients of the parameters that are trained
 * @param moments of AdamW, and buffers through which ranks exchange gradients and updates
 * @param activations that a micro-batch's forward keeps for its backward
 * @param inFlight gradients of activations at the deepest point of the backward
 * @param teacher weights of a teacher, whole on each rank, and the activations of its forward
 */
public record MemoryForecast(
    long weights, long gradients, long moments, long activations, long inFlight, long teacher)
    implements MemoryParts {
  /** Ids, targets and positions, INT32 [S] each. */
  private static final int INPUTS = 3;

  public static MemoryForecast of(ModelConfig config, TrainConfig training, Topology topology) {
    try (LanguageModel model = new LanguageModel(config)) {
      return of(model, training, topology);
    }
  }

  /** The forecast for a run, perhaps of adapters. */
  public static MemoryForecast of(RunConfig run, Topology topology) {
    if (run.adapters() == null) {
      return of(run.model(), run.training(), topology);
    }
    try (LanguageModel model = new LanguageModel(run.model()).adapted(run.adapters())) {
      WeightTypes types = run.base().types(run.base().open(), run.training().dtype());
      return of(model, types, run.training(), topology);
    }
  }

  /** The forecast for a model; the model needs no memory. */
  public static MemoryForecast of(LanguageModel model, TrainConfig training, Topology topology) {
    return of(model, null, training, topology);
  }

  /**
   * The forecast for a model's adapters.
   *
   * @param model with adapters; needs no memory
   * @param types of the weights that are not trained; null: all are
   */
  public static MemoryForecast of(
      LanguageModel model, WeightTypes types, TrainConfig training, Topology topology) {
    long frozen = 0;
    long held = 0;
    long copied = 0;
    long moments = 0;
    long gathered = 0;
    long largestShare = 0;
    boolean half = training.dtype() == DType.BFLOAT16;
    for (Parameter parameter : model.parameters().parameters()) {
      if (types != null && parameter.role() != Parameter.Role.ADAPTER) {
        long elements = Tensor.count(parameter.matrixShape(topology));
        frozen += types.bytes(parameter, parameter.matrices(topology), elements, true);
        continue;
      }
      long count = parameter.count(topology);
      int replicas = parameter.replicas(topology);
      held += count;
      copied += parameter.valueDType(DType.BFLOAT16) == DType.BFLOAT16 ? count : 0;
      moments += Math.ceilDiv(count, replicas);
      if (replicas > 1) {
        gathered = Math.min(Bucket.MOST, gathered + (count <= Bucket.SMALL ? count : 0));
        largestShare = Math.max(largestShare, Math.max(count, gathered) / replicas);
      }
    }
    return new MemoryForecast(
            frozen + 4 * held + (half ? 2 * copied : 0),
            4 * held,
            8 * moments + 4 * (gathered + largestShare),
            0,
            0,
            0)
        .withActivations(model, training, topology);
  }

  /** This forecast with activations for other micro-batches or recomputation. */
  public MemoryForecast withActivations(
      LanguageModel model, TrainConfig training, Topology topology) {
    Work work = training.work(topology);
    Cost cost = model.cost(work);
    return new MemoryForecast(
        weights,
        gradients,
        moments,
        bytes(work.bytes32(INPUTS) + cost.kept()),
        bytes(cost.inFlight()),
        teacher);
  }

  /** This forecast with a teacher. */
  public MemoryForecast with(ModelConfig teacher, TrainConfig training, Topology topology) {
    try (LanguageModel model = new LanguageModel(teacher)) {
      double held = 0;
      for (Parameter parameter : model.parameters().parameters()) {
        held += weight(parameter, training.dtype());
      }
      double forward = model.cost(training.work(topology)).kept();
      return new MemoryForecast(
          weights, gradients, moments, activations, inFlight, bytes(held + forward));
    }
  }

  private static double weight(Parameter parameter, DType compute) {
    return (double) parameter.count() * parameter.valueDType(compute).bytes();
  }

  /** Limits a count, so that sums do not overflow. */
  private static long bytes(double count) {
    return (long) Math.min(count, 1e18);
  }

  /**
   * Refuses training that cannot fit, before anything is allocated.
   *
   * @param availableBytes free memory of the device
   * @param ranks number of ranks that share the device
   * @throws IllegalArgumentException with the needed and the available memory
   */
  public void requireFits(long availableBytes, int ranks) {
    double all = (double) total() * ranks;
    if (all > availableBytes) {
      double state = (double) (weights + gradients + moments + teacher) * ranks;
      throw Require.refusal(
          "training%s takes %s of memory (%s for weights, gradients and moments%s, %s for"
              + " activations), but %s are free; %s",
          ranks == 1 ? "" : " on " + ranks + " ranks",
          Count.bytes(all),
          Count.bytes(state),
          teacher == 0 ? "" : " and a teacher",
          Count.bytes(all - state),
          Count.bytes(availableBytes),
          state > availableBytes
              ? "choose a smaller model"
              : "a smaller batch, more microBatches or recompute take less");
    }
  }

  @Override
  public Map<String, Long> parts() {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", weights);
    parts.put("gradients", gradients);
    parts.put("optimizer moments", moments);
    parts.put("activations", activations + inFlight);
    if (teacher > 0) {
      parts.put("the teacher", teacher);
    }
    return parts;
  }

  @Override
  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("weights", weights);
    json.put("gradients", gradients);
    json.put("moments", moments);
    json.put("activations", activations);
    json.put("in_flight", inFlight);
    if (teacher > 0) {
      json.put("teacher", teacher);
    }
    json.put("total", total());
    return json;
  }
}
