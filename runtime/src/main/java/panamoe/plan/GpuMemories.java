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
 * Device memory to serve a model with each of many topologies. Memory depends only on the slices
 * and the expert degrees, so topologies that agree in these share one result.
 *
 * @param experts the distinct numbers of experts in a layer
 * @param known results by degrees
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
   * @param work decode step; the number of sequences must be the same in all calls
   * @param context tokens reserved for each sequence; must be the same in all calls
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

  /** Activations of the larger step: decode or a prefill chunk. */
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
