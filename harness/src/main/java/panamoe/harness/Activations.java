package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.param.WeightTypes;

/**
 * The activations that a CPU multiplies by weights in blocks, as named on the command line and in
 * JSON. A GPU always uses activations as they are.
 */
public enum Activations {
  /** Activations rounded to int8, with a scale for every 32. */
  INT8,
  /** Activations as they are, in {@code --dtype}. */
  BF16;

  /** The types with these activations. */
  public WeightTypes of(WeightTypes types) {
    return types.withExact(this == BF16);
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
