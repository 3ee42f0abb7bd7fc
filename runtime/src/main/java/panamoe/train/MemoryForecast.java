package panamoe.train;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.model.LanguageModel;
import panamoe.model.ModelConfig;
import panamoe.moe.GateConfig;
import panamoe.nn.Norm;
import panamoe.nn.Parameter;
import panamoe.tensor.DType;

/**
 * The memory that training takes, in bytes, counted tensor by tensor as the ops allocate them. Scratch memory of kernels
 * and the rounding of the allocator come on top; a test holds the sum to within a tenth of what a run really takes.
 *
 * @param weights FLOAT32 masters, and BFLOAT16 copies of matrices when computing in bfloat16
 * @param gradients of the parameters
 * @param moments of AdamW
 * @param activations that a micro-batch's forward leaves for its backward
 * @param inFlight gradients of activations at the deepest point of the backward
 */
public record MemoryForecast(long weights, long gradients, long moments, long activations, long inFlight) {

  public static MemoryForecast of(ModelConfig config, TrainConfig training) {
    long parameters;
    long copied = 0;
    try (LanguageModel model = new LanguageModel(config)) {
      parameters = model.parameters().count();
      for (Parameter parameter : model.parameters().parameters()) {
        boolean float32 =
            parameter.part() == Parameter.Part.ROUTER || parameter.part() == Parameter.Part.COEFFICIENT;
        copied += parameter.decayed() && !float32 ? parameter.count() : 0;
      }
    }
    boolean half = training.dtype() == DType.BFLOAT16;
    Counter counter = new Counter(config, training);
    return new MemoryForecast(
        4 * parameters + (half ? 2 * copied : 0),
        4 * parameters,
        8 * parameters,
        bytes(counter.activations()),
        bytes(counter.inFlight()));
  }

  /** A count that is far from overflowing in sums, however large the settings are. */
  private static long bytes(double count) {
    return (long) Math.min(count, 1e18);
  }

  /**
   * Refuses training that cannot fit, before anything is allocated for it.
   *
   * @param availableBytes free memory of the device, for the host {@link panamoe.checkpoint.AvailableMemory#bytes}
   * @throws IllegalArgumentException with what it needs and what there is
   */
  public void requireFits(long availableBytes) {
    if (total() > availableBytes) {
      long state = weights + gradients + moments;
      throw new IllegalArgumentException(
          "training takes %s of memory (%s for weights, gradients and moments, %s for activations), but only %s are free; %s"
              .formatted(
                  gibibytes(total()),
                  gibibytes(state),
                  gibibytes(total() - state),
                  gibibytes(availableBytes),
                  state > availableBytes
                      ? "choose a smaller model"
                      : "a smaller batch, more microBatches or recompute take less"));
    }
  }

  private static String gibibytes(long bytes) {
    return "%,.1f GiB".formatted(bytes / (double) (1 << 30));
  }

  public long total() {
    return weights + gradients + moments + activations + inFlight;
  }

  public String toText() {
    StringBuilder text = new StringBuilder("%n%-12s %16s%n".formatted("memory", "MiB"));
    toJson()
        .properties()
        .forEach(
            entry ->
                text.append(
                    "%-12s %,16.1f%n".formatted(entry.getKey(), entry.getValue().asLong() / (double) (1 << 20))));
    return text.toString();
  }

  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("weights", weights);
    json.put("gradients", gradients);
    json.put("moments", moments);
    json.put("activations", activations);
    json.put("in_flight", inFlight);
    json.put("total", total());
    return json;
  }

  /** Bytes of the tensors of one micro-batch, in the order of a token's way. */
  private record Counter(ModelConfig config, TrainConfig training) {
    private long tokens() {
      return training.tokensPerStep() / training.microBatches();
    }

    /** A tensor of {@code width} elements a token, in the compute dtype. */
    private double wide(long width) {
      return (double) tokens() * width * training.dtype().bytes();
    }

    /** The same in FLOAT32 or INT32. */
    private double wide32(long width) {
      return (double) tokens() * width * 4;
    }

    private double norm() {
      return wide(config.hidden()) + wide32(config.norm() == Norm.Kind.LAYER ? 2 : 1);
    }

    private double mlp(long rowsPerToken) {
      long inner = (long) config.feedForward() * (1 + config.activation().inputsPerOutput());
      return rowsPerToken * (wide(inner) + wide(config.hidden()));
    }

    private double attention() {
      long keyValue = (long) config.keyValueHeads() * config.headSize();
      long rotated = config.positions() == ModelConfig.Positions.ROTARY ? config.hidden() + keyValue : 0;
      return wide(config.hidden() + 2 * keyValue + rotated)
          + wide(config.hidden())
          + wide32(config.heads())
          + wide(config.hidden());
    }

    private double experts(int count) {
      GateConfig gate = config.gate();
      int topK = gate.topK();
      long draws =
          (gate.dropPolicy() == DropPolicy.PRIORITY ? count : 0)
              + switch (gate.noise()) {
                case NONE -> 0;
                case JITTER -> 2L * config.hidden();
                case GUMBEL, GUMBEL_FROM_SECOND -> count;
              };
      double routes = wide32(2L * count + 4L * topK + draws);
      double fixed = config.residual() ? mlp(1) + wide32(2) : 0;
      return routes + topK * wide(config.hidden()) + mlp(topK) + fixed + wide(config.hidden());
    }

    private double block(int layer) {
      int count = config.experts().get(layer);
      double second = count == 0 ? mlp(1) + wide(config.hidden()) : experts(count);
      return norm() + attention() + wide(config.hidden()) + norm() + second;
    }

    private double largestBlock() {
      double largest = 0;
      for (int layer = 0; layer < config.layers(); layer++) {
        largest = Math.max(largest, block(layer));
      }
      return largest;
    }

    double activations() {
      double sum = wide32(3) + wide(config.hidden()) + norm() + wide32(1);
      for (int layer = 0; layer < config.layers(); layer++) {
        sum += training.recompute() ? wide(config.hidden()) : block(layer);
      }
      return training.recompute() ? sum + largestBlock() : sum;
    }

    /** The stream's gradient, and an MLP's: input and inner rows of every branch. */
    double inFlight() {
      long branches = config.hasExperts() ? config.gate().topK() + (config.residual() ? 1 : 0) : 1;
      return wide(2L * config.hidden()) + branches * wide((long) config.feedForward() + config.hidden());
    }
  }
}
