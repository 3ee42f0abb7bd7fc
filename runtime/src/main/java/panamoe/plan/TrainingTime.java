package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * The time of an optimizer step on the rank that takes longest.
 *
 * @param terms s of each, all of them
 * @param dropped share of the routes that experts' capacities drop, over all layers
 */
public record TrainingTime(Map<TrainingTerm, Double> terms, double dropped) {
  public TrainingTime {
    Map<TrainingTerm, Double> all = new EnumMap<>(TrainingTerm.class);
    for (TrainingTerm term : TrainingTerm.values()) {
      all.put(term, terms.getOrDefault(term, 0.0));
    }
    terms = Collections.unmodifiableMap(all);
  }

  /** The sum. */
  public double seconds() {
    return terms.values().stream().mapToDouble(Double::doubleValue).sum();
  }

  /** The term that takes most. */
  public TrainingTerm largest() {
    return Collections.max(terms.entrySet(), Map.Entry.comparingByValue()).getKey();
  }

  /** Milliseconds by term. */
  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    terms.forEach((term, seconds) -> json.put(term.toString(), 1e3 * seconds));
    return json;
  }
}
