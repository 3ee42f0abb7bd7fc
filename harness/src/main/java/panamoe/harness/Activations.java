package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.param.WeightTypes;

/**
 * What a CPU multiplies weights in blocks by, as named on the command line and in JSON. A card
 * always multiplies them by activations as they are.
 */
public enum Activations {
  /** Activations rounded to int8, every 32 with a scale of their own. */
  INT8,
  /** Activations as they are, in {@code --dtype}. */
  BF16;

  /** The types, multiplied so. */
  public WeightTypes of(WeightTypes types) {
    return types.withExact(this == BF16);
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
