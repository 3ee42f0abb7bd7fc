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
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A described model, and the memory of a device that serves it with each of many topologies: it
 * depends on their slices and on the degrees of their experts, and is counted once for all that
 * have the same ones.
 *
 * @param experts each number that a layer has
 * @param known memory, by the degrees that it depends on
 */
record GpuMemories(
    LanguageModel model, List<Integer> experts, Map<List<Integer>, InferenceMemory> known)
    implements AutoCloseable {
  GpuMemories(ModelConfig config) {
    this(
        new LanguageModel(config),
        config.experts().stream().filter(count -> count > 0).distinct().toList(),
        new HashMap<>());
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
    return known.computeIfAbsent(degrees, _ -> serving(model, work, context));
  }

  /** The largest step is one of all sequences, or of a piece of a prompt. */
  static InferenceMemory serving(LanguageModel model, Work work, int context) {
    DType dtype = work.dtype();
    Topology topology = work.topology();
    Work prompt = Work.prefill(Math.min(context, EngineConfig.STEP_TOKENS), dtype).over(topology);
    return InferenceMemory.of(model, WeightTypes.of(dtype), dtype, context, false, topology)
        .of(work.sequences(), (long) Math.max(model.cost(work).kept(), model.cost(prompt).kept()));
  }

  @Override
  public void close() {
    model.close();
  }
}
