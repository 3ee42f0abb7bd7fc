package panamoe.plan;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.open.InferenceMemory;
import panamoe.parallel.Topology;

/**
 * A described model, and the memory of a card that serves it with each of many topologies: it
 * depends on their slices and on the degrees of their experts, and is counted once for all that
 * have the same ones.
 */
final class CardMemories implements AutoCloseable {
  private final LanguageModel model;
  private final List<Integer> experts; // each number that a layer has
  private final Map<List<Integer>, InferenceMemory> known = new HashMap<>();

  CardMemories(ModelConfig config) {
    this.model = new LanguageModel(config);
    this.experts = config.experts().stream().filter(count -> count > 0).distinct().toList();
  }

  /** The described model. */
  LanguageModel model() {
    return model;
  }

  /**
   * @param work of a step that writes a token of each sequence; as many in each call
   * @param context tokens that each sequence has room for; as many in each call
   */
  InferenceMemory serving(Work work, int context) {
    Topology topology = work.topology();
    List<Integer> degrees =
        Stream.concat(
                Stream.of(topology.tensorDegree(), topology.expertSlices()),
                experts.stream().map(topology::expertDegree))
            .toList();
    Work prompt = Work.prefill(Math.min(context, EngineConfig.STEP_TOKENS), work.dtype());
    return known.computeIfAbsent(
        degrees, _ -> InferenceMemory.of(model, work, prompt.over(topology), context));
  }

  @Override
  public void close() {
    model.close();
  }
}
