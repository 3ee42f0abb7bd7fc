package panamoe.op;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * The weights of Phi-MoE's SparseMixer (arXiv 2409.12136) without its noise: a choice's share of
 * the softmax over the experts near to it that no earlier choice has. Computed on the host, for
 * which a GPU waits: a token has few experts.
 */
public final class SparseMixerOp {
  private final HostView logits;
  private final HostView choice;
  private final int experts;
  private final int topK;
  private final double threshold;
  private final double scale;

  private SparseMixerOp(Tensor logits, Routes routes, double threshold, double scale) {
    this.logits = HostView.of(logits);
    this.choice = HostView.of(routes.choice());
    this.experts = Math.toIntExact(logits.size(1));
    this.topK = Math.toIntExact(routes.choice().size(1));
    this.threshold = threshold;
    this.scale = scale;
  }

  /**
   * Replaces the weights of routes that were kept.
   *
   * @param logits FLOAT32 [S, E], from which the routes came
   * @param threshold how much lower a near expert's logit may be, as a part of the larger of the
   *     choice's logit and its magnitude
   * @param scale factor of the weights
   */
  public static void forward(
      Pass pass, Tensor logits, Routes routes, double threshold, double scale) {
    new SparseMixerOp(logits, routes, threshold, scale).weigh(routes);
    pass.record(
        () -> {
          Tensor dweight = pass.tape().takeGradient(routes.weight());
          if (dweight != null) {
            Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
            new SparseMixerOp(logits, routes, threshold, scale).backward(dweight, routes, dlogits);
            pass.tape().addGradient(logits, dlogits);
            dweight.owner().release();
          }
        });
  }

  private void weigh(Routes routes) {
    HostView expert = HostView.of(routes.expert());
    HostView weight = HostView.of(routes.weight());
    read(expert);
    long routed = routes.choice().count();
    for (int route = 0; route < routed; route++) {
      boolean kept = at(expert, route) >= 0;
      double share = kept ? scale * share(route, at(choice, route)) : 0;
      weight.memory().setAtIndex(ValueLayout.JAVA_FLOAT, route, (float) share);
    }
    weight.write();
  }

  /**
   * With the shares p of the near experts: {@code dlogits_e += scale dweight p_c ((e = c) - p_e)}.
   */
  private void backward(Tensor dweight, Routes routes, Tensor dlogits) {
    HostView expert = HostView.of(routes.expert());
    HostView given = HostView.of(dweight);
    HostView result = HostView.of(dlogits);
    read(expert);
    given.read();
    int tokens = Math.toIntExact(dlogits.size(0));
    for (int token = 0; token < tokens; token++) {
      double[] sums = new double[experts];
      for (int route = token * topK; route < (token + 1) * topK; route++) {
        int chosen = at(choice, route);
        if (at(expert, route) >= 0) {
          double factor =
              scale
                  * given.memory().getAtIndex(ValueLayout.JAVA_FLOAT, route)
                  * share(route, chosen);
          for (int e = 0; e < experts; e++) {
            sums[e] += factor * ((e == chosen ? 1 : 0) - share(route, e));
          }
        }
      }
      for (int e = 0; e < experts; e++) {
        long place = (long) token * experts + e;
        result.memory().setAtIndex(ValueLayout.JAVA_FLOAT, place, (float) sums[e]);
      }
    }
    result.write();
  }

  private void read(HostView expert) {
    logits.read();
    choice.read();
    expert.read();
  }

  /** An expert's share of those that are near to a route's choice. */
  private double share(int route, int expert) {
    double own = logit(route, at(choice, route));
    double sum = 0;
    for (int e = 0; e < experts; e++) {
      sum += isNear(route, e) ? Math.exp(logit(route, e) - own) : 0;
    }
    return isNear(route, expert) ? Math.exp(logit(route, expert) - own) / sum : 0;
  }

  private boolean isNear(int route, int expert) {
    for (int earlier = route / topK * topK; earlier < route; earlier++) {
      if (at(choice, earlier) == expert) {
        return false;
      }
    }
    double own = logit(route, at(choice, route));
    double other = logit(route, expert);
    return !((own - other) / Math.max(own, Math.abs(other))
        > threshold); // NaN, of two zeros, is near
  }

  private double logit(int route, int expert) {
    MemorySegment memory = logits.memory();
    return memory.getAtIndex(ValueLayout.JAVA_FLOAT, (long) route / topK * experts + expert);
  }

  private static int at(HostView table, int route) {
    return table.memory().getAtIndex(ValueLayout.JAVA_INT, route);
  }
}
