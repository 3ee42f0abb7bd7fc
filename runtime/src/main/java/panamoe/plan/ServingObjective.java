package panamoe.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.io.MemoryParts;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/**
 * Plans of serving a model: all data, expert, tensor and slice degrees, and both exchanges.
 *
 * @param batch sequences per data rank
 * @param context tokens per sequence: memory is reserved for all of them, and a step reads them all
 */
public record ServingObjective(
    ModelConfig config, StepModel times, DType dtype, long batch, int context)
    implements PlanObjective {
  public ServingObjective {
    int overlap = times.optimizations().overlap();
    Require.that(
        overlap <= 1,
        "the overlap is %s parts; serving is planned with 0 or 1, because a rank would read its experts again for each part",
        overlap);
    PlanSearch.requireSizes(batch, context, config);
    config.requireGeneration();
    new ParallelDegrees(config);
  }

  @Override
  public List<Plan> plans(GpuMemories memories, Cluster part) {
    List<Plan> plans = new ArrayList<>();
    for (Topology topology : new ParallelDegrees(config).topologies(part)) {
      ParallelDegrees.requireNoInterrupt();
      if (memory(memories, topology).total() <= times.room()) {
        plans.add(plan(memories, topology, Strategy.FLAT));
        if (times.hasLevels(config, topology)) {
          plans.add(plan(memories, topology, Strategy.HIERARCHICAL));
        }
      }
    }
    return plans;
  }

  @Override
  public MemoryParts least(GpuMemories memories, Cluster part) {
    return new ParallelDegrees(config)
        .topologies(part).stream()
            .map(topology -> memory(memories, topology))
            .min(Comparator.comparingLong(MemoryParts::total))
            .orElseThrow();
  }

  private Plan plan(GpuMemories memories, Topology topology, Strategy exchange) {
    return new Plan(
        topology,
        exchange,
        topology.dataDegree() * batch,
        memory(memories, topology),
        times.with(exchange).of(memories.model(), work(topology)),
        null,
        null);
  }

  private MemoryParts memory(GpuMemories memories, Topology topology) {
    return memories.serving(work(topology), context);
  }

  /** The decode step of the context's last token, for every sequence. */
  private Work work(Topology topology) {
    return Work.decode(batch, context - 1L, dtype).over(topology);
  }

  /**
   * Prefill time of one prompt per data rank.
   *
   * @param model a description of the configuration
   * @param tokens of the prompt, at most the context
   */
  public StepTime prompt(LanguageModel model, Plan plan, int tokens) {
    return times.with(plan.exchange()).ofPrompt(model, tokens, dtype, plan.topology());
  }

  @Override
  public Phrases phrases() {
    String best = "No other plan beats these in devices, latency and cost of a token.";
    return new Phrases("does not fit", "smaller", "ms", 1e-3, " for a token", "token", best);
  }

  @Override
  public String spent(StepTime time) {
    return Words.of(
        "of which %.4g ms are for %s",
        1e3 * time.terms().get(time.largest()), time.largest().meaning());
  }
}
