package panamoe.op;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * A learned factor of each expert: {@code weight'[s,k] = weight[s,k] factor[e]} of the route to
 * expert e. Computed on the host, for which a GPU waits: a token has few routes.
 */
public final class FactorOp {
  private FactorOp() {}

  /**
   * The routes with such weights, in memory of their own.
   *
   * @param factors FLOAT32 [E]
   */
  public static Routes forward(Pass pass, Routes routes, Tensor factors) {
    Tensor y = pass.allocate(DType.FLOAT32, routes.weight().shape());
    times(routes, routes.weight(), factors, y);
    pass.record(y, dy -> backward(pass, routes, factors, dy));
    return routes.weighted(y);
  }

  private static void backward(Pass pass, Routes routes, Tensor factors, Tensor dy) {
    Tensor dfactors = pass.tape().parameterGradient(factors);
    if (dfactors != null) {
      MemorySegment expert = HostView.elements(routes.expert());
      MemorySegment weight = HostView.elements(routes.weight());
      MemorySegment upstream = HostView.elements(dy);
      HostView sums = HostView.of(dfactors);
      sums.read();
      for (long route = 0; route < dy.count(); route++) {
        int e = expert.getAtIndex(ValueLayout.JAVA_INT, route);
        if (e >= 0) {
          float sum = sums.memory().getAtIndex(ValueLayout.JAVA_FLOAT, e);
          sum += at(upstream, route) * at(weight, route);
          sums.memory().setAtIndex(ValueLayout.JAVA_FLOAT, e, sum);
        }
      }
      sums.write();
    }
    Tensor dweight = pass.allocate(DType.FLOAT32, dy.shape());
    times(routes, dy, factors, dweight);
    pass.tape().addGradient(routes.weight(), dweight);
    dy.owner().release();
  }

  /** {@code y = x factor}, 0 where a route was dropped. */
  private static void times(Routes routes, Tensor x, Tensor factors, Tensor y) {
    MemorySegment expert = HostView.elements(routes.expert());
    MemorySegment from = HostView.elements(x);
    MemorySegment factor = HostView.elements(factors);
    HostView to = HostView.of(y);
    for (long route = 0; route < y.count(); route++) {
      int e = expert.getAtIndex(ValueLayout.JAVA_INT, route);
      float product = e < 0 ? 0 : at(from, route) * at(factor, e);
      to.memory().setAtIndex(ValueLayout.JAVA_FLOAT, route, product);
    }
    to.write();
  }

  private static float at(MemorySegment values, long index) {
    return values.getAtIndex(ValueLayout.JAVA_FLOAT, index);
  }
}
