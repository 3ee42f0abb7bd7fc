package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The time of a step on the rank that takes longest.
 *
 * @param terms s of each, all of them
 */
public record StepTime(Map<StepTerm, Double> terms) {
  public StepTime {
    terms = Collections.unmodifiableMap(new LinkedHashMap<>(terms));
  }

  /** Of the {@code all} terms of a kind, where those that are not given take no time. */
  static StepTime of(StepTerm[] all, Map<? extends StepTerm, Double> given) {
    Map<StepTerm, Double> terms = new LinkedHashMap<>();
    for (StepTerm term : all) {
      terms.put(term, given.containsKey(term) ? given.get(term) : 0);
    }
    return new StepTime(terms);
  }

  /** The sum. */
  public double seconds() {
    return terms.values().stream().mapToDouble(Double::doubleValue).sum();
  }

  /** The term that takes most. */
  public StepTerm largest() {
    return Collections.max(terms.entrySet(), Map.Entry.comparingByValue()).getKey();
  }

  /** Milliseconds by term. */
  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    terms.forEach((term, seconds) -> json.put(term.toString(), 1e3 * seconds));
    return json;
  }
}
