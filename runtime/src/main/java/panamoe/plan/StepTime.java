package panamoe.plan;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The time of a step on the rank that takes longest.
 *
 * @param terms s of each, all of them
 * @param dropped share of the routes that experts' capacities drop, over all layers
 */
public record StepTime(Map<Term, Double> terms, double dropped) {
  public StepTime {
    terms = Collections.unmodifiableMap(new EnumMap<>(terms));
  }

  /** Of {@code all} terms of a step, where those that are not given take no time. */
  static StepTime of(Set<Term> all, Map<Term, Double> given, double dropped) {
    Map<Term, Double> terms = new EnumMap<>(Term.class);
    all.forEach(term -> terms.put(term, given.getOrDefault(term, 0.0)));
    return new StepTime(terms, dropped);
  }

  /** The sum. */
  public double seconds() {
    return terms.values().stream().mapToDouble(Double::doubleValue).sum();
  }

  /** The term that takes most. */
  public Term largest() {
    return Collections.max(terms.entrySet(), Map.Entry.comparingByValue()).getKey();
  }

  /** Milliseconds by term. */
  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    terms.forEach((term, seconds) -> json.put(term.toString(), 1e3 * seconds));
    return json;
  }
}
