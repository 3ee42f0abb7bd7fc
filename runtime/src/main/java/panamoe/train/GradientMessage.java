package panamoe.train;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;

/**
 * A reduce-scatter of FLOAT32 gradients, and the all-gather of FLOAT32 weights after the optimizer,
 * of one {@link Bucket}, on the rank that holds most.
 *
 * @param experts whether it is of experts, which the ranks that hold the same ones reduce
 * @param replicas ranks that take part
 * @param elements of all of them together
 */
public record GradientMessage(boolean experts, int replicas, long elements) {
  private record Kind(boolean experts, int replicas) {}

  /** The messages of one step; a model without memory will do. */
  public static List<GradientMessage> of(LanguageModel model, Topology topology) {
    List<GradientMessage> messages = new ArrayList<>();
    Map<Kind, Long> open = new HashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      Kind kind = new Kind(parameter.part() == Parameter.Part.EXPERT, parameter.replicas(topology));
      long count = parameter.count(topology);
      if (kind.replicas == 1) {
        continue;
      }
      if (count > Bucket.SMALL) {
        messages.add(new GradientMessage(kind.experts, kind.replicas, count));
      } else {
        long before = open.getOrDefault(kind, 0L);
        if (before + count > Bucket.MOST) {
          messages.add(new GradientMessage(kind.experts, kind.replicas, before));
          before = 0;
        }
        open.put(kind, before + count);
      }
    }
    open.forEach(
        (kind, count) -> messages.add(new GradientMessage(kind.experts, kind.replicas, count)));
    return messages;
  }
}
