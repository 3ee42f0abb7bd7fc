package panamoe.train;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.ToLongFunction;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.backend.OptimizerKernels;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * AdamW (arXiv 1711.05101) over the parameters of a model: FLOAT32 masters and moments, decoupled
 * decay on matrices, gradient clipping by the global norm.
 *
 * <p>Replicas of a parameter share the work (ZeRO stage 1, arXiv 1910.02054): each holds the
 * moments of an equal share of the elements, reduces their gradient, updates them, and sends the
 * result to the others.
 */
public final class AdamW {
  /**
   * Settings that are constant over all steps.
   *
   * @param beta1 decay of the gradient's moving mean
   * @param beta2 decay of the squared gradient's moving mean
   * @param epsilon added to the root of the latter mean
   * @param weightDecay of matrices
   * @param clip global norm that larger gradients are scaled down to
   */
  public record Settings(
      double beta1, double beta2, double epsilon, double weightDecay, double clip) {
    /** The defaults of a run. */
    public static final Settings USUAL = new Settings(0.9, 0.95, 1e-8, 0.1, 1);

    // Kernels take float32: 0 as epsilon, or 1 as a decay, would make NaN of a zero gradient.
    public Settings {
      requireDecay("beta1", beta1);
      requireDecay("beta2", beta2);
      boolean positive = (float) epsilon > 0 && epsilon < 1;
      Require.that(
          positive, "epsilon is %s, expected a float32, more than 0, less than 1", epsilon);
      Require.that(
          weightDecay >= 0 && weightDecay < 10,
          "weightDecay is %s, expected 0 or more and less than 10",
          weightDecay);
      Require.that(clip > 0, "clip is %s, expected more than 0", clip);
    }

    private static void requireDecay(String name, double value) {
      boolean holds = value >= 0 && (float) value < 1;
      Require.that(holds, "%s is %s, expected a float32, 0 or more, less than 1", name, value);
    }
  }

  /**
   * The optimizer's state of one parameter, for this rank's share of its elements.
   *
   * @param shares number of elements of each replica's share, in order
   * @param from first element of this rank's share
   * @param first FLOAT32, moving mean of the gradient
   * @param second FLOAT32, moving mean of its square
   * @param views of the parameter's memory, created once
   */
  record Moments(
      Parameter parameter, long[] shares, long from, Tensor first, Tensor second, Views views) {
    static final String FIRST = "first_moment.";
    static final String SECOND = "second_moment.";

    static Moments of(TensorScope scope, Parameter parameter, long[] shares) {
      int replica = parameter.replicas().rank();
      long count = parameter.count();
      long from = LongStream.of(shares).limit(replica).sum();
      long to = from + shares[replica];
      Tensor masters = parameter.master().reshape(count);
      Tensor gradients = parameter.gradient().reshape(count);
      return new Moments(
          parameter,
          shares,
          from,
          scope.zeros(DType.FLOAT32, to - from),
          scope.zeros(DType.FLOAT32, to - from),
          new Views(masters, masters.rows(from, to), gradients, gradients.rows(from, to)));
    }

    /** Passes each state with the prefix of its name in a checkpoint. */
    void forEach(BiConsumer<String, Tensor> each) {
      each.accept(FIRST, first);
      each.accept(SECOND, second);
    }

    /** Whether the parameter has no replica. */
    boolean alone() {
      return shares.length == 1;
    }

    long count() {
      return first.count();
    }
  }

  /** All elements of a parameter and of its gradient, and this rank's share of each. */
  record Views(Tensor masters, Tensor master, Tensor gradients, Tensor gradient) {}

  private final Backend backend;
  private final Settings settings;
  private final ParameterStore store;
  private long taken; // steps of this object
  private final List<Moments> moments = new ArrayList<>();
  private final List<Bucket> buckets;
  private final GradientNorms norms;

  /**
   * @param store materialized for training on {@code backend}
   * @param scope of the moments
   */
  public AdamW(Backend backend, Settings settings, ParameterStore store, TensorScope scope) {
    this.backend = backend;
    this.settings = settings;
    this.store = store;
    backend.requireMemory("the optimizer's moments", 8 * elementsOf(store));
    this.buckets = Bucket.of(store, scope);
    Map<Parameter, Moments> shared = new HashMap<>();
    buckets.forEach(bucket -> bucket.moments().forEach(each -> shared.put(each.parameter(), each)));
    Tensor all = scope.allocate(DType.FLOAT32, largest(Bucket::copied));
    Tensor share = scope.allocate(DType.FLOAT32, largest(Bucket::share));
    buckets.forEach(bucket -> bucket.use(all, share));
    for (Parameter parameter : store.trained()) {
      Moments of = shared.get(parameter);
      moments.add(of != null ? of : Moments.of(scope, parameter, new long[] {parameter.count()}));
    }
    this.norms = new GradientNorms(backend, store.ranks(), moments, scope);
  }

  /** Approximate number of elements of this rank's shares. */
  private static double elementsOf(ParameterStore store) {
    return store.trained().stream()
        .mapToDouble(each -> (double) each.count() / each.replicas().size())
        .sum();
  }

  private long largest(ToLongFunction<Bucket> elements) {
    return buckets.stream().mapToLong(elements).max().orElse(0);
  }

  List<Moments> moments() {
    return moments;
  }

  /** Reduces this rank's shares of the gradients over the replicas. Collective. */
  public void sumGradients() {
    buckets.forEach(bucket -> bucket.sumGradients(backend));
  }

  GradientNorms norms() {
    return norms;
  }

  /** The global norm of the gradients, after {@link #sumGradients}. Collective. */
  public double norm() {
    return norms.measure();
  }

  /**
   * Updates the parameters. Collective.
   *
   * @param step from 0
   * @param rate of learning
   * @param norm global norm of the gradients
   * @throws panamoe.comm.CommunicationException if the ranks differ in step, rate, settings, or
   *     values of a replicated parameter; compared in the first step, then every 64
   */
  public void step(long step, double rate, double norm) {
    if (taken++ % ParameterStore.COMPARED_EVERY == 0) {
      store.ranks().requireSame(() -> compared(step, rate));
      store.requireSameReplicas();
    }
    // PyTorch's clip_grad_norm_: never scales up, and 1e-6 keeps a zero norm harmless.
    float scale = (float) Math.min(1, settings.clip() / (norm + 1e-6));
    OptimizerKernels.AdamW decayed = numbers(step, rate, settings.weightDecay(), scale);
    OptimizerKernels.AdamW others = numbers(step, rate, 0, scale);
    for (Moments each : moments) {
      Parameter parameter = each.parameter();
      if (each.count() > 0) {
        backend.adamwStep(
            parameter.decayed() ? decayed : others,
            each.views().master(),
            each.views().gradient(),
            each.first(),
            each.second(),
            each.alone() ? rounded(parameter) : null);
      }
    }
    for (Bucket bucket : buckets) {
      bucket.gatherUpdates(backend);
      for (Moments each : bucket.moments()) {
        if (rounded(each.parameter()) != null) {
          backend.cast(each.parameter().master(), each.parameter().value());
        }
      }
    }
  }

  private OptimizerKernels.AdamW numbers(long step, double rate, double decay, float scale) {
    return new OptimizerKernels.AdamW(
        (float) rate,
        (float) settings.beta1(),
        (float) settings.beta2(),
        (float) settings.epsilon(),
        (float) decay,
        scale,
        step + 1);
  }

  private Map<String, String> compared(long step, double rate) {
    Map<String, String> values = new HashMap<>(ConfigJson.values(ConfigJson.tree(settings)));
    values.put("step", String.valueOf(step));
    values.put("learning rate", String.valueOf(rate));
    return values;
  }

  /** The BFLOAT16 copy that kernels read, or null if they read the masters. */
  private static Tensor rounded(Parameter parameter) {
    return parameter.value() == parameter.master() ? null : parameter.value();
  }
}
