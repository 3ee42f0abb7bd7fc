package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.tensor.DType;

/** The dtype of keys and values, as named on the command line and in JSON. */
public enum KeyValueType {
  /** The dtype of activations. */
  DTYPE,
  INT8;

  /** The dtype of the cache for activations of {@code dtype}. */
  public DType of(DType dtype) {
    return this == INT8 ? DType.INT8 : dtype;
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
