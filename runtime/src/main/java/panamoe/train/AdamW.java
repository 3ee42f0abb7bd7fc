package panamoe.train;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.nn.Parameter;
import panamoe.nn.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * AdamW (arXiv 1711.05101) over the parameters of a model: FLOAT32 masters and moments, decoupled decay on matrices, the
 * gradient clipped by its global norm.
 */
final class AdamW {
  /**
   * The optimizer's memory of one parameter, FLOAT32 of its shape.
   *
   * @param first moving mean of the gradient
   * @param second moving mean of its square
   */
  record Moments(Parameter parameter, Tensor first, Tensor second) {}

  private final Backend backend;
  private final TrainConfig config;
  private final List<Moments> moments = new ArrayList<>();
  private final Tensor squareSums;

  AdamW(Backend backend, TrainConfig config, ParameterStore store) {
    this.backend = backend;
    this.config = config;
    List<Parameter> parameters = store.parameters();
    for (Parameter parameter : parameters) {
      moments.add(
          new Moments(
              parameter,
              store.scope().zeros(DType.FLOAT32, parameter.shape()),
              store.scope().zeros(DType.FLOAT32, parameter.shape())));
    }
    this.squareSums = store.scope().allocate(DType.FLOAT32, parameters.size());
  }

  List<Moments> moments() {
    return moments;
  }

  /** The norm over all gradients together. */
  double gradientNorm() {
    for (int i = 0; i < moments.size(); i++) {
      backend.squareSum(moments.get(i).parameter().gradient(), squareSums.rows(i, i + 1));
    }
    backend.synchronize();
    double sum = 0;
    for (int i = 0; i < moments.size(); i++) {
      sum += squareSums.getFloat(i);
    }
    return Math.sqrt(sum);
  }

  /** One update, with the gradients' norm already known. {@code step} counts from 0. */
  void step(long step, double norm) {
    // PyTorch's clip_grad_norm_: never scales up, and 1e-6 keeps a zero norm harmless.
    float scale = (float) Math.min(1, config.clip() / (norm + 1e-6));
    for (Moments each : moments) {
      Parameter parameter = each.parameter();
      Tensor copy = parameter.value() == parameter.master() ? null : parameter.value();
      backend.adamwStep(
          (float) config.learningRate(step),
          (float) config.beta1(),
          (float) config.beta2(),
          (float) config.epsilon(),
          parameter.decayed() ? (float) config.weightDecay() : 0,
          step + 1,
          scale,
          parameter.master(),
          parameter.gradient(),
          each.first(),
          each.second(),
          copy);
    }
  }
}
