package panamoe.backend.reference;

import panamoe.backend.OptimizerKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** AdamW (Loshchilov and Hutter, 2019) and the gradient norm. */
interface ReferenceOptimizer extends OptimizerKernels, ReferenceContext {

  @Override
  default void adamwStep(
      AdamW config,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      Tensor copy) {
    launch(
        () -> {
          Check.finite("learningRate", config.learningRate());
          Check.require(
              config.beta1() >= 0 && config.beta1() < 1,
              "beta1 is " + config.beta1() + ", expected at least 0 and less than 1");
          Check.require(
              config.beta2() >= 0 && config.beta2() < 1,
              "beta2 is " + config.beta2() + ", expected at least 0 and less than 1");
          Check.require(
              config.epsilon() >= 0, "epsilon is " + config.epsilon() + ", expected 0 or more");
          Check.finite("weightDecay", config.weightDecay());
          Check.require(config.step() >= 1, "step is " + config.step() + ", expected 1 or more");
          Check.finite("gradientScale", config.gradientScale());
          Check.elements("parameter", parameter, Kind.FLOAT32, Check.ANY);
          Check.elements("gradient", gradient, Kind.FLOAT32, parameter.count());
          Check.elements("firstMoment", firstMoment, Kind.FLOAT32, parameter.count());
          Check.elements("secondMoment", secondMoment, Kind.FLOAT32, parameter.count());
          if (copy != null) {
            Check.elements("copy", copy, Kind.FLOATING, parameter.count());
            Check.require(copy.dtype() == DType.BFLOAT16, "copy is float32, expected bfloat16");
          }
          double correction1 = 1 - Math.pow(config.beta1(), config.step());
          double correction2 = 1 - Math.pow(config.beta2(), config.step());
          for (long i = 0; i < parameter.count(); i++) {
            double g = (double) gradient.getFloat(i) * config.gradientScale();
            double m =
                config.beta1() * (double) firstMoment.getFloat(i) + (1.0 - config.beta1()) * g;
            double v =
                config.beta2() * (double) secondMoment.getFloat(i) + (1.0 - config.beta2()) * g * g;
            double decayed =
                parameter.getFloat(i)
                    * (1.0 - (double) config.learningRate() * config.weightDecay());
            double p =
                decayed
                    - config.learningRate()
                        * (m / correction1)
                        / (Math.sqrt(v / correction2) + config.epsilon());
            firstMoment.setFloat(i, (float) m);
            secondMoment.setFloat(i, (float) v);
            parameter.setFloat(i, (float) p);
            if (copy != null) {
              copy.setFloat(i, (float) p);
            }
          }
        });
  }

  @Override
  default void squareSum(Tensor x, Tensor sum) {
    launch(
        () -> {
          Check.elements("x", x, Kind.FLOATING, Check.ANY);
          Check.tensor("sum", sum, Kind.FLOAT32, 1);
          double[] values = Values.read(x);
          sum.setFloat(0, (float) Vectors.dot(values, values));
        });
  }
}
