package panamoe.plan;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.parallel.Topology;

/**
 * The memory of a card with each of many topologies: it depends on their slices and on the degrees
 * of their experts, and is counted once for all that have the same ones.
 */
final class CardMemories implements AutoCloseable {
  private final LanguageModel model;
  private final int context;
  private final int[] experts; // each number that a layer has
  private final Map<List<Integer>, CardMemory> known = new HashMap<>();

  /**
   * @param context tokens that each sequence has room for
   */
  CardMemories(ModelConfig config, int context) {
    this.model = new LanguageModel(config);
    this.context = context;
    this.experts =
        config.experts().stream()
            .mapToInt(Integer::intValue)
            .filter(count -> count > 0)
            .distinct()
            .toArray();
  }

  /** The described model. */
  LanguageModel model() {
    return model;
  }

  /**
   * @param work of a step that writes a token of each sequence; as many in each call
   */
  CardMemory of(Work work) {
    Topology topology = work.topology();
    List<Integer> degrees =
        Stream.concat(
                Stream.of(topology.tensorDegree(), topology.expertSlices()),
                IntStream.of(experts).mapToObj(topology::expertDegree))
            .toList();
    return known.computeIfAbsent(degrees, _ -> CardMemory.of(model, work, context));
  }

  @Override
  public void close() {
    model.close();
  }
}
