package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;
import panamoe.comm.exchange.Strategy;
import panamoe.parallel.Topology;

/**
 * One way to serve a model.
 *
 * @param exchange FLAT or HIERARCHICAL
 * @param batch sequences of each data rank
 * @param time of the step that writes a token of every sequence
 */
public record Plan(
    Topology topology, Strategy exchange, long batch, CardMemory memory, StepTime time) {
  public int cards() {
    return topology.ranks();
  }

  /** Seconds until a sequence has its next token. */
  public double latency() {
    return time.seconds();
  }

  /** Of all sequences together. */
  public double tokensPerSecond() {
    return topology.dataDegree() * batch / latency();
  }

  /** The cost of a token, in seconds of a card. */
  public double cardSeconds() {
    return cards() / tokensPerSecond();
  }

  /** Whether the other is no worse in any respect, and better in one. */
  boolean isBeatenBy(Plan other) {
    return other.cards() <= cards()
        && other.latency() <= latency()
        && other.cardSeconds() <= cardSeconds()
        && (other.cards() < cards()
            || other.latency() < latency()
            || other.cardSeconds() < cardSeconds());
  }

  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("cards", cards());
    json.put("data", topology.dataDegree());
    json.put("expert", topology.expertDegree());
    json.put("tensor", topology.tensorDegree());
    json.put("slices", topology.expertSlices());
    json.put("exchange", exchange.name().toLowerCase(Locale.ROOT));
    json.put("latency_ms", 1e3 * latency());
    json.put("tokens_per_s", tokensPerSecond());
    json.put("card_seconds_per_token", cardSeconds());
    json.set("terms", time.toJson());
    json.set("memory", memory.toJson());
    return json;
  }
}
