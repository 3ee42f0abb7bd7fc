package panamoe.train;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;

/**
 * The reduce-scatter of FLOAT32 gradients and the all-gather of FLOAT32 weights of one {@link
 * Bucket}, on the rank that holds most. For the planner.
 *
 * @param experts whether it reduces experts, over the ranks that hold the same experts
 * @param replicas number of ranks
 * @param elements over all ranks
 */
public record GradientMessage(boolean experts, int replicas, long elements) {
  private record Kind(boolean experts, int replicas) {}

  /** The messages of one step; the model needs no memory. */
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
