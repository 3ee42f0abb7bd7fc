package panamoe.plan;

import java.util.Locale;
import panamoe.comm.exchange.Strategy;
import panamoe.io.MemoryParts;
import panamoe.parallel.Topology;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * One way to serve or to train a model.
 *
 * @param exchange FLAT or HIERARCHICAL; AUTO in training
 * @param tokens of all devices in one step
 * @param memory of the fullest device
 * @param time of a decode step, or of an optimizer step
 * @param training settings with this plan's micro-batches and recomputation; null for serving
 * @param loss to device failures; null if not requested
 */
public record Plan(
    Topology topology,
    Strategy exchange,
    long tokens,
    MemoryParts memory,
    StepTime time,
    TrainConfig training,
    FailureCost.Loss loss) {
  public static final double DAY = 24 * 3600;

  public int devices() {
    return topology.ranks();
  }

  /** Seconds of a decode step, or of a whole training run including failures. */
  public double seconds() {
    return training == null
        ? time.seconds()
        : training.schedule().steps() * time.seconds() * (1 + (loss == null ? 0 : loss.share()));
  }

  /** Throughput over all sequences, without failures. */
  public double tokensPerSecond() {
    return tokens / time.seconds();
  }

  /** Device-seconds per token, or of the whole run. */
  public double deviceSeconds() {
    return training == null ? devices() / tokensPerSecond() : devices() * seconds();
  }

  public double days() {
    return seconds() / DAY;
  }

  public double deviceHours() {
    return devices() * days() * 24;
  }

  /** Steps between checkpoints; 0 if failures were not requested. */
  public long checkpointEvery() {
    return loss == null ? 0 : Math.max(1, Math.round(loss.interval() / time.seconds()));
  }

  /** {@code wanted} with this plan's settings. */
  public RunConfig run(RunConfig wanted) {
    return new RunConfig(
        wanted.model(),
        loss == null
            ? training
            : training.with(training.checkpoints().withEvery((int) checkpointEvery())),
        wanted.seed());
  }

  /**
   * True if the other plan Pareto-dominates this one: no worse in devices, time and cost, and
   * better in one.
   */
  boolean isBeatenBy(Plan other) {
    return other.devices() <= devices()
        && other.seconds() <= seconds()
        && other.deviceSeconds() <= deviceSeconds()
        && (other.devices() < devices()
            || other.seconds() < seconds()
            || other.deviceSeconds() < deviceSeconds());
  }

  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("cards", devices());
    json.put("data", topology.dataDegree());
    json.put("expert", topology.expertDegree());
    json.put("tensor", topology.tensorDegree());
    json.put("slices", topology.expertSlices());
    if (training == null) {
      json.put("exchange", exchange.name().toLowerCase(Locale.ROOT));
      json.put("latency_ms", 1e3 * seconds());
      json.put("tokens_per_s", tokensPerSecond());
      json.put("card_seconds_per_token", deviceSeconds());
    } else {
      json.put("micro_batches", training.batch().microBatches());
      json.put("recompute", training.recompute());
      json.put("days", days());
      json.put("card_hours", deviceHours());
      json.put("tokens_per_s", tokensPerSecond());
      json.put("step_ms", 1e3 * time.seconds());
    }
    json.set("terms", time.toJson());
    if (training != null) {
      json.put("dropped", time.dropped());
    }
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
