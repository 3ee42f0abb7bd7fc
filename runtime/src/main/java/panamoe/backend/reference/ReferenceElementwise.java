package panamoe.backend.reference;

import java.lang.foreign.MemorySegment;
import panamoe.backend.Activation;
import panamoe.backend.ElementwiseKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Fill, cast, copy, sum, clamp, soft cap, exponential and activations. */
interface ReferenceElementwise extends ElementwiseKernels, ReferenceContext {

  @Override
  default void fill(float value, Tensor y) {
    launch(
        () -> {
          Check.elements("y", y, Kind.FLOATING, Check.ANY);
          for (long i = 0; i < y.count(); i++) {
            y.setFloat(i, value);
          }
        });
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch(
        () -> {
          checkMap(x, y);
          Values.write(Values.read(x), y);
        });
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch(
        () -> {
          Check.require(x != null, "x is null");
          Check.require(y != null, "y is null");
          Check.sameDtype("x", x, "y", y);
          Check.require(
              x.packed() == y.packed() && x.count() == y.count() && x.bytes() == y.bytes(),
              "y is " + y + ", expected as many elements and the layout of " + x);
          Check.disjoint("x", x, "y", y);
          MemorySegment.copy(x.data(), 0, y.data(), 0, x.bytes());
        });
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch(
        () -> {
          Check.elements("a", a, Kind.FLOATING, Check.ANY);
          Check.elements("b", b, Kind.FLOATING, a.count());
          Check.elements("y", y, Kind.FLOATING, a.count());
          Check.disjointOrSame("a", a, "y", y);
          Check.disjointOrSame("b", b, "y", y);
          for (long i = 0; i < y.count(); i++) {
            y.setFloat(i, (float) ((double) alpha * a.getFloat(i) + (double) beta * b.getFloat(i)));
          }
        });
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch(
        () -> {
          checkBound(bound);
          checkMap(x, y);
          for (long i = 0; i < y.count(); i++) {
            y.setFloat(i, Math.clamp(x.getFloat(i), -bound, bound));
          }
        });
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        () -> {
          checkBound(bound);
          checkMapGradient(x, dy, dx);
          for (long i = 0; i < dx.count(); i++) {
            dx.setFloat(i, Math.abs(x.getFloat(i)) <= bound ? dy.getFloat(i) : 0);
          }
        });
  }

  @Override
  default void softCap(float cap, Tensor x, Tensor y) {
    launch(
        () -> {
          Check.finite("cap", cap);
          Check.require(cap > 0, "cap is " + cap + ", expected more than 0");
          checkMap(x, y);
          for (long i = 0; i < y.count(); i++) {
            y.setFloat(i, (float) Vectors.softCap(x.getFloat(i), cap));
          }
        });
  }

  @Override
  default void expForward(float bound, Tensor x, Tensor y) {
    launch(
        () -> {
          checkExponent(bound);
          checkMap(x, y);
          for (long i = 0; i < y.count(); i++) {
            y.setFloat(i, (float) Math.exp(Math.min(x.getFloat(i), bound)));
          }
        });
  }

  @Override
  default void expBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        () -> {
          checkExponent(bound);
          checkMapGradient(x, dy, dx);
          for (long i = 0; i < dx.count(); i++) {
            float at = x.getFloat(i);
            dx.setFloat(i, at <= bound ? (float) (dy.getFloat(i) * Math.exp(at)) : 0);
          }
        });
  }

  private static void checkBound(float bound) {
    Check.finite("bound", bound);
    Check.require(bound >= 0, "bound is " + bound + ", expected 0 or more");
  }

  private static void checkExponent(float bound) {
    Check.finite("bound", bound);
    Check.require(bound <= 88, "bound is " + bound + ", expected at most 88");
  }

  /** y has the elements of x, and may be x. */
  private static void checkMap(Tensor x, Tensor y) {
    Check.elements("x", x, Kind.FLOATING, Check.ANY);
    Check.elements("y", y, Kind.FLOATING, x.count());
    Check.disjointOrSame("x", x, "y", y);
  }

  private static void checkMapGradient(Tensor x, Tensor dy, Tensor dx) {
    Check.elements("x", x, Kind.FLOATING, Check.ANY);
    Check.elements("dy", dy, Kind.FLOATING, x.count());
    Check.elements("dx", dx, Kind.FLOATING, x.count());
    Check.disjointOrSame("x", x, "dx", dx);
    Check.disjointOrSame("dy", dy, "dx", dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    launch(
        () -> {
          checkActivation(activation, x, "y", y);
          Check.disjoint("x", x, "y", y);
          double[][] rows = Values.readRows(x);
          for (int s = 0; s < rows.length; s++) {
            rows[s] = Activations.forward(activation, rows[s]);
          }
          Values.write(rows, y);
        });
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    launch(
        () -> {
          checkActivation(activation, x, "dy", dy);
          Check.tensor("dx", dx, Kind.FLOATING, x.size(0), x.size(1));
          Check.disjointOrSame("x", x, "dx", dx);
          Check.disjoint("dy", dy, "dx", dx);
          double[][] rows = Values.readRows(x);
          double[][] gradients = Values.readRows(dy);
          for (int s = 0; s < rows.length; s++) {
            rows[s] = Activations.backward(activation, rows[s], gradients[s]);
          }
          Values.write(rows, dx);
        });
  }

  private static void checkActivation(
      Activation activation, Tensor x, String outputName, Tensor output) {
    Check.require(activation != null, "activation is null");
    Check.tensor("x", x, Kind.FLOATING, Check.ANY, Check.ANY);
    long perOutput = activation.inputsPerOutput();
    Check.require(
        x.size(1) % perOutput == 0,
        "x has " + x.size(1) + " columns, " + activation + " needs an even number");
    Check.tensor(outputName, output, Kind.FLOATING, x.size(0), x.size(1) / perOutput);
  }
}
