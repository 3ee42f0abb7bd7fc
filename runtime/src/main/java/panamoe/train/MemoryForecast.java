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
        counter.activations(),
        counter.inFlight());
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
    private long wide(long width) {
      return tokens() * width * training.dtype().bytes();
    }

    /** The same in FLOAT32 or INT32. */
    private long wide32(long width) {
      return tokens() * width * 4;
    }

    private long norm() {
      return wide(config.hidden()) + wide32(config.norm() == Norm.Kind.LAYER ? 2 : 1);
    }

    private long mlp(long rowsPerToken) {
      long inner = (long) config.feedForward() * (1 + config.activation().inputsPerOutput());
      return rowsPerToken * (wide(inner) + wide(config.hidden()));
    }

    private long attention() {
      long keyValue = (long) config.keyValueHeads() * config.headSize();
      long rotated = config.positions() == ModelConfig.Positions.ROTARY ? config.hidden() + keyValue : 0;
      return wide(config.hidden() + 2 * keyValue + rotated)
          + wide(config.hidden())
          + wide32(config.heads())
          + wide(config.hidden());
    }

    private long experts(int count) {
      GateConfig gate = config.gate();
      int topK = gate.topK();
      long draws =
          (gate.dropPolicy() == DropPolicy.PRIORITY ? count : 0)
              + switch (gate.noise()) {
                case NONE -> 0;
                case JITTER -> 2L * config.hidden();
                case GUMBEL, GUMBEL_FROM_SECOND -> count;
              };
      long routes = wide32(2L * count + 4L * topK + draws);
      long fixed = config.residual() ? mlp(1) + wide32(2) : 0;
      return routes + topK * wide(config.hidden()) + mlp(topK) + fixed + wide(config.hidden());
    }

    private long block(int layer) {
      int count = config.experts().get(layer);
      long second = count == 0 ? mlp(1) + wide(config.hidden()) : experts(count);
      return norm() + attention() + wide(config.hidden()) + norm() + second;
    }

    private long largestBlock() {
      long largest = 0;
      for (int layer = 0; layer < config.layers(); layer++) {
        largest = Math.max(largest, block(layer));
      }
      return largest;
    }

    long activations() {
      long sum = wide32(3) + wide(config.hidden()) + norm() + wide32(1);
      for (int layer = 0; layer < config.layers(); layer++) {
        sum += training.recompute() ? wide(config.hidden()) : block(layer);
      }
      return training.recompute() ? sum + largestBlock() : sum;
    }

    /** The stream's gradient, and an MLP's: input and inner rows of every branch. */
    long inFlight() {
      long branches = config.hasExperts() ? config.gate().topK() + (config.residual() ? 1 : 0) : 1;
      return wide(2L * config.hidden()) + branches * wide((long) config.feedForward() + config.hidden());
    }
  }
}
