package panamoe.nn;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import panamoe.config.Rotary;
import panamoe.tensor.TensorScope;

/** The angles of a model's rotary positions, one table for each {@link Rotary} among its layers. */
public final class RotaryTables {
  private final Map<Rotary, RotaryTable> tables = new HashMap<>();

  /**
   * @param scope holds the tables
   * @param positions P, longest sequence
   */
  public RotaryTables(TensorScope scope, int positions, Collection<Rotary> rotaries) {
    for (Rotary rotary : rotaries) {
      tables.computeIfAbsent(rotary, each -> RotaryTable.of(scope, positions, each));
    }
  }

  RotaryTable of(Rotary rotary) {
    return tables.get(rotary);
  }
}
