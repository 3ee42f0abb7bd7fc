package panamoe.train;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.nn.Parameter;
import panamoe.nn.ParameterStore;
import panamoe.parallel.Ranks;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * AdamW (arXiv 1711.05101) over the parameters of a model: FLOAT32 masters and moments, decoupled decay on matrices,
 * the gradient clipped by its global norm.
 *
 * <p>Ranks that hold the same parameter share the work (ZeRO stage 1, arXiv 1910.02054): each has the moments of an
 * equal share of its elements, sums their gradient, updates them and gives the result to the others.
 */
final class AdamW {
  /**
   * The optimizer's memory of one parameter: of this rank's share of its elements.
   *
   * @param shares elements of each replica's share, in order
   * @param from the first element of this rank's
   * @param first FLOAT32, moving mean of the gradient
   * @param second FLOAT32, moving mean of its square
   * @param views of the parameter's memory, made once
   */
  record Moments(Parameter parameter, long[] shares, long from, Tensor first, Tensor second, Views views) {
    static Moments of(ParameterStore store, Parameter parameter) {
      Communicator replicas = parameter.replicas();
      long count = parameter.count();
      long[] shares = new long[replicas.size()];
      for (int i = 0; i < shares.length; i++) {
        shares[i] = count * (i + 1) / shares.length - count * i / shares.length;
      }
      long from = count * replicas.rank() / shares.length;
      long to = from + shares[replicas.rank()];
      Tensor masters = parameter.master().reshape(count);
      Tensor gradients = parameter.gradient().reshape(count);
      return new Moments(
          parameter,
          shares,
          from,
          store.scope().zeros(DType.FLOAT32, to - from),
          store.scope().zeros(DType.FLOAT32, to - from),
          new Views(masters, masters.rows(from, to), gradients, gradients.rows(from, to)));
    }

    /** Whether no other rank holds the parameter. */
    boolean alone() {
      return shares.length == 1;
    }

    /** Elements of this rank's share. */
    long count() {
      return first.count();
    }
  }

  /** All elements of a parameter and of its gradient, and this rank's share of each. */
  record Views(Tensor masters, Tensor master, Tensor gradients, Tensor gradient) {}

  private final Backend backend;
  private final TrainConfig config;
  private final Ranks ranks;
  private final List<Moments> moments = new ArrayList<>();
  private final List<Tensor> squareSums = new ArrayList<>();
  // Room for one share at a time: a collective may not read and write the same memory.
  private final List<Tensor> room = new ArrayList<>();

  AdamW(Backend backend, TrainConfig config, ParameterStore store) {
    this.backend = backend;
    this.config = config;
    this.ranks = store.ranks();
    for (Parameter parameter : store.parameters()) {
      moments.add(Moments.of(store, parameter));
    }
    Tensor sums = store.scope().zeros(DType.FLOAT32, moments.size());
    long largest = moments.stream().filter(each -> !each.alone()).mapToLong(Moments::count).max().orElse(0);
    Tensor share = store.scope().allocate(DType.FLOAT32, largest);
    for (int i = 0; i < moments.size(); i++) {
      squareSums.add(sums.rows(i, i + 1));
      room.add(moments.get(i).alone() ? null : share.rows(0, moments.get(i).count()));
    }
  }

  List<Moments> moments() {
    return moments;
  }

  /** Sums this rank's shares of the gradients over the ranks whose tokens they come from. */
  void sumGradients() {
    backend.synchronize();
    for (int i = 0; i < moments.size(); i++) {
      Moments each = moments.get(i);
      if (!each.alone()) {
        Communicator replicas = each.parameter().replicas();
        replicas.at("the gradient of " + each.parameter().name());
        replicas.reduceScatter(each.views().gradients(), room.get(i), each.shares());
        backend.copy(room.get(i), each.views().gradient());
      }
    }
  }

  /** The norm over all gradients together, of all ranks, each element counted once. */
  double gradientNorm() {
    for (int i = 0; i < moments.size(); i++) {
      Moments each = moments.get(i);
      if (each.parameter().counted() && each.count() > 0) {
        backend.squareSum(each.views().gradient(), squareSums.get(i));
      }
    }
    backend.synchronize();
    double sum = 0;
    for (Tensor squareSum : squareSums) {
      sum += squareSum.getFloat(0);
    }
    return Math.sqrt(ranks.world().allReduce(sum));
  }

  /** One update, with the gradients' norm already known. {@code step} counts from 0. */
  void step(long step, double norm) {
    // PyTorch's clip_grad_norm_: never scales up, and 1e-6 keeps a zero norm harmless.
    float scale = (float) Math.min(1, config.clip() / (norm + 1e-6));
    for (int i = 0; i < moments.size(); i++) {
      Moments each = moments.get(i);
      Parameter parameter = each.parameter();
      boolean rounded = parameter.value() != parameter.master();
      if (each.count() > 0) {
        backend.adamwStep(
            (float) config.learningRate(step),
            (float) config.beta1(),
            (float) config.beta2(),
            (float) config.epsilon(),
            parameter.decayed() ? (float) config.weightDecay() : 0,
            step + 1,
            scale,
            each.views().master(),
            each.views().gradient(),
            each.first(),
            each.second(),
            rounded && each.alone() ? parameter.value() : null);
      }
      if (!each.alone()) {
        gather(each, room.get(i));
        if (rounded) {
          backend.cast(parameter.master(), parameter.value());
        }
      }
    }
  }

  /** Puts the updated shares of all replicas together. */
  private void gather(Moments each, Tensor updated) {
    backend.copy(each.views().master(), updated);
    backend.synchronize();
    Communicator replicas = each.parameter().replicas();
    replicas.at("the update of " + each.parameter().name());
    replicas.allGather(updated, each.views().masters(), each.shares());
  }
}
