package panamoe.plan;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The time of a step on the slowest rank.
 *
 * @param terms seconds of each term
 * @param dropped share of the routes that experts' capacities drop, over all layers
 */
public record StepTime(Map<CostTerm, Double> terms, double dropped) {
  public StepTime {
    terms = Collections.unmodifiableMap(new EnumMap<>(terms));
  }

  /** Builds from {@code all} terms of a step; those that are not given are 0. */
  static StepTime of(Set<CostTerm> all, Map<CostTerm, Double> given, double dropped) {
    Map<CostTerm, Double> terms = new EnumMap<>(CostTerm.class);
    all.forEach(term -> terms.put(term, given.getOrDefault(term, 0.0)));
    return new StepTime(terms, dropped);
  }

  public double seconds() {
    return terms.values().stream().mapToDouble(Double::doubleValue).sum();
  }

  public CostTerm largest() {
    return Collections.max(terms.entrySet(), Map.Entry.comparingByValue()).getKey();
  }

  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    terms.forEach((term, seconds) -> json.put(term.toString(), 1e3 * seconds));
    return json;
  }
}
