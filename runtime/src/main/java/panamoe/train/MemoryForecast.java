package panamoe.train;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/**
 * The memory in bytes that training takes on the rank that holds most, counted tensor by tensor as
 * the ops allocate them and with evenly loaded experts. Scratch memory of kernels and the
 * allocator's rounding are not included. A test checks that the sum is within a tenth of a run's
 * real memory.
 *
 * @param weights FLOAT32 masters, and BFLOAT16 copies of matrices when computing in bfloat16
 * @param gradients of the parameters
 * @param moments of AdamW, and the room through which ranks exchange gradients and updates
 * @param activations that a micro-batch's forward keeps for its backward
 * @param inFlight gradients of activations at the deepest point of the backward
 */
public record MemoryForecast(
    long weights, long gradients, long moments, long activations, long inFlight) {
  /** Copies of a row that its exchange with another rank keeps for the backward. */
  private static final int TRAVELLING = 3;

  public static MemoryForecast of(ModelConfig config, TrainConfig training, Topology topology) {
    long held = 0;
    long copied = 0;
    long moments = 0;
    long gathered = 0;
    long largestShare = 0;
    try (LanguageModel model = new LanguageModel(config)) {
      for (Parameter parameter : model.parameters().parameters()) {
        long count = held(parameter, topology);
        int replicas = replicas(parameter, topology);
        held += count;
        copied += parameter.valueDType(DType.BFLOAT16) == DType.BFLOAT16 ? count : 0;
        moments += Math.ceilDiv(count, replicas);
        if (replicas > 1) {
          gathered = Math.min(Bucket.MOST, gathered + (count <= Bucket.SMALL ? count : 0));
          largestShare = Math.max(largestShare, Math.max(count, gathered) / replicas);
        }
      }
    }
    boolean half = training.dtype() == DType.BFLOAT16;
    Counter counter = new Counter(config, training, topology);
    return new MemoryForecast(
        4 * held + (half ? 2 * copied : 0),
        4 * held,
        8 * moments + 4 * (gathered + largestShare),
        bytes(counter.activations()),
        bytes(counter.inFlight()));
  }

  /** Elements of a parameter on the rank that holds most. */
  private static long held(Parameter whole, Topology topology) {
    return switch (whole.part()) {
      case EXPERT -> {
        int experts = Math.toIntExact(whole.shape()[0]);
        long most = Math.ceilDiv(experts, topology.expertDegree(experts));
        yield whole.count()
            / experts
            * most
            / (topology.sliceExperts() ? topology.tensorDegree() : 1);
      }
      case ATTENTION, MLP ->
          whole.decayed() ? whole.count() / topology.tensorDegree() : whole.count();
      case EMBEDDING, NORM, ROUTER, COEFFICIENT -> whole.count();
    };
  }

  /** The number of replicas of a parameter, over which its moments are split. */
  private static int replicas(Parameter whole, Topology topology) {
    if (whole.part() != Parameter.Part.EXPERT) {
      return topology.dataDegree();
    }
    int groups = topology.dataDegree() / topology.expertDegree(Math.toIntExact(whole.shape()[0]));
    return topology.sharesRows() ? groups * topology.tensorDegree() : groups;
  }

  /** Limits a count, so that sums do not overflow for absurd settings. */
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
      double state = (double) (weights + gradients + moments) * ranks;
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "training%s takes %s of memory (%s for weights, gradients and moments, %s for activations), but %s are"
                  + " free; %s",
              ranks == 1 ? "" : " on " + ranks + " ranks",
              gibibytes(all),
              gibibytes(state),
              gibibytes(all - state),
              gibibytes(availableBytes),
              state > availableBytes
                  ? "choose a smaller model"
                  : "a smaller batch, more microBatches or recompute take less"));
    }
  }

  private static String gibibytes(double bytes) {
    return String.format(Locale.ROOT, "%,.1f GiB", bytes / (1 << 30));
  }

  public long total() {
    return weights + gradients + moments + activations + inFlight;
  }

  public String toText() {
    StringBuilder text =
        new StringBuilder(String.format(Locale.ROOT, "%n%-12s %16s%n", "memory", "MiB"));
    toJson()
        .properties()
        .forEach(
            entry -> {
              double mebibytes = entry.getValue().asLong() / (double) (1 << 20);
              text.append(String.format(Locale.ROOT, "%-12s %,16.1f%n", entry.getKey(), mebibytes));
            });
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

  /** Counts the bytes of one rank's tensors for one micro-batch, in the order of the forward. */
  private record Counter(ModelConfig config, TrainConfig training, Topology topology) {
    private long tokens() {
      return training.tokensPerStep() / training.microBatches() / topology.dataDegree();
    }

    /** Bytes of a tensor with {@code width} elements per token in the compute dtype. */
    private double wide(long width) {
      return (double) tokens() * width * training.dtype().bytes();
    }

    /** Bytes of a tensor with {@code width} FLOAT32 or INT32 elements per token. */
    private double wide32(long width) {
      return (double) tokens() * width * 4;
    }

    private double norm(NormConfig norm, double width) {
      return wide(1) * width + wide32(norm.kind() == NormConfig.Kind.LAYER ? 2 : 1);
    }

    /**
     * @param slices number of tensor ranks that the inner columns are split over
     */
    private double mlp(int inner, Activation activation, int slices) {
      return wide((long) inner * (1 + activation.inputsPerOutput())) / slices
          + wide(config.hidden());
    }

    private double attention(AttentionConfig attention) {
      AttentionConfig.Heads heads = attention.heads();
      long query = (long) heads.query() * heads.size();
      long keyValue = (long) heads.keyValue() * heads.size();
      int copies = (attention.rotary() == null ? 0 : 1) + (attention.clip() == null ? 0 : 1);
      double each = wide((query + keyValue) * copies) + wide(query + 2 * keyValue);
      AttentionConfig.QueryKeyNorm norm = attention.queryKeyNorm();
      if (norm != null) {
        boolean head = norm.over() == AttentionConfig.QueryKeyNorm.Over.HEAD;
        each += wide(query + keyValue) + wide32(head ? heads.query() + heads.keyValue() : 2);
      }
      each += wide(query) + wide32(heads.query());
      return each / topology.tensorDegree() + wide(config.hidden());
    }

    private double experts(MoeConfig moe) {
      GateConfig gate = moe.gate();
      int topK = gate.topK();
      long draws =
          (gate.capacity().policy() == DropPolicy.PRIORITY ? moe.experts() : 0)
              + switch (gate.choice().noise()) {
                case NONE -> 0;
                case JITTER -> 2L * config.hidden();
                case GUMBEL, GUMBEL_FROM_SECOND -> moe.experts();
              };
      double routes = wide32(2L * moe.experts() + 4L * topK + draws);
      int tensor = topology.tensorDegree();
      double fixed =
          moe.residual() == null
              ? 0
              : mlp(moe.residual().inner(), moe.activation(), tensor) + wide32(2);
      double shared =
          moe.shared() == null
              ? 0
              : mlp(moe.shared().inner(), moe.activation(), tensor)
                  + wide(config.hidden())
                  + (moe.shared().gated() ? wide32(6) : 0);
      // Tensor ranks that share rows compute a part of them each.
      double computed =
          topK * mlp(moe.inner(), moe.activation(), topology.sliceExperts() ? tensor : 1);
      double ofShare = topology.sharesRows() ? computed / tensor : computed;
      boolean travels = topology.expertDegree(moe.experts()) > 1 || topology.sharesRows();
      double travelling = travels ? TRAVELLING * topK * wide(config.hidden()) : 0;
      return routes
          + topK * wide(config.hidden())
          + ofShare
          + travelling
          + fixed
          + shared
          + wide(config.hidden());
    }

    private double block(BlockConfig block) {
      double second =
          switch (block.feedForward()) {
            case DenseConfig dense ->
                mlp(dense.inner(), dense.activation(), topology.tensorDegree())
                    + wide(config.hidden());
            case MoeConfig moe -> experts(moe);
          };
      return norm(block.attentionNorm(), config.hidden())
          + attention(block.attention())
          + wide(config.hidden())
          + norm(block.feedForwardNorm(), config.hidden())
          + second;
    }

    private double largest(ToDoubleFunction<BlockConfig> bytes) {
      return config.blocks().stream().mapToDouble(bytes).max().orElseThrow();
    }

    double activations() {
      double sum =
          wide32(3) + wide(config.hidden()) + norm(config.finalNorm(), config.hidden()) + wide32(1);
      for (BlockConfig block : config.blocks()) {
        sum += training.recompute() ? wide(config.hidden()) : block(block);
      }
      return training.recompute() ? sum + largest(this::block) : sum;
    }

    /** The gradients of the residual stream and of an MLP: input and inner rows of every branch. */
    double inFlight() {
      return wide(2L * config.hidden()) + largest(this::branches);
    }

    private double branches(BlockConfig block) {
      return switch (block.feedForward()) {
        case DenseConfig dense -> branch(dense.inner());
        case MoeConfig moe ->
            moe.gate().topK() * branch(moe.inner())
                + (moe.residual() == null ? 0 : branch(moe.residual().inner()))
                + (moe.shared() == null ? 0 : branch(moe.shared().inner()));
      };
    }

    private double branch(int inner) {
      return wide(inner) / topology.tensorDegree() + wide(config.hidden());
    }
  }
}
