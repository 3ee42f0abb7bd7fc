package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import panamoe.parallel.Topology;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * One way to train a model.
 *
 * @param training with the micro-batches and the recomputation of this plan
 * @param time of an optimizer step
 * @param loss by failing cards; null: none were asked for
 */
public record TrainingPlan(
    TrainConfig training,
    Topology topology,
    MemoryForecast memory,
    TrainingTime time,
    Faults.Loss loss) {
  private static final double DAY = 24 * 3600;

  public int cards() {
    return topology.ranks();
  }

  /** Of a run without failures. */
  public double tokensPerSecond() {
    return training.tokensPerStep() / time.seconds();
  }

  /** Days of the whole run, with what failures cost. */
  public double days() {
    return training.steps() * time.seconds() * (1 + (loss == null ? 0 : loss.share())) / DAY;
  }

  /** The cost of the whole run, in hours of a card. */
  public double cardHours() {
    return cards() * days() * 24;
  }

  /** Steps between checkpoints; 0 if no failures were asked for. */
  public long checkpointEvery() {
    return loss == null ? 0 : Math.max(1, Math.round(loss.interval() / time.seconds()));
  }

  /** The run that this plan is of, with its settings. */
  public RunConfig run(RunConfig wanted) {
    return new RunConfig(
        wanted.model(),
        loss == null ? training : training.withCheckpointEvery((int) checkpointEvery()),
        wanted.seed());
  }

  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("cards", cards());
    json.put("data", topology.dataDegree());
    json.put("expert", topology.expertDegree());
    json.put("tensor", topology.tensorDegree());
    json.put("slices", topology.expertSlices());
    json.put("micro_batches", training.microBatches());
    json.put("recompute", training.recompute());
    json.put("days", days());
    json.put("card_hours", cardHours());
    json.put("tokens_per_s", tokensPerSecond());
    json.put("step_ms", 1e3 * time.seconds());
    json.set("terms", time.step().toJson());
    json.put("dropped", time.dropped());
    json.set("memory", memory.toJson());
    if (loss != null) {
      json.putObject("failures")
          .put("checkpoint_s", loss.checkpoint())
          .put("interval_s", loss.interval())
          .put("interval_steps", checkpointEvery())
          .put("lost", loss.share());
    }
    return json;
  }
}
