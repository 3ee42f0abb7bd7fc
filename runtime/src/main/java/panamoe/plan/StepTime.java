package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * The time of a step on the rank that takes longest.
 *
 * @param terms s of each, all of them
 */
public record StepTime(Map<Term, Double> terms) {
  public StepTime {
    Map<Term, Double> all = new EnumMap<>(Term.class);
    for (Term term : Term.values()) {
      all.put(term, terms.getOrDefault(term, 0.0));
    }
    terms = Collections.unmodifiableMap(all);
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
