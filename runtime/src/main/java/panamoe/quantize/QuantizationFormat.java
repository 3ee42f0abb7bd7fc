package panamoe.quantize;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import panamoe.tensor.DType;

/**
 * The format of a rounded matrix, by its name in options and plans.
 *
 * @param name of the option
 * @param dtype of the blocks; null: the matrix is not rounded
 */
public record QuantizationFormat(String name, DType dtype) {
  /** Not rounded. */
  public static final QuantizationFormat KEEP = new QuantizationFormat("keep", null);

  public static final QuantizationFormat INT8 = new QuantizationFormat("int8", DType.INT8_BLOCKS);

  /** All formats: int8, int4, each block format that numbers are rounded to by its name, keep. */
  public static List<QuantizationFormat> all() {
    List<QuantizationFormat> all = new ArrayList<>();
    all.add(INT8);
    all.add(new QuantizationFormat("int4", DType.INT4_BLOCKS));
    Arrays.stream(DType.values())
        .filter(type -> type.isBlocks() && type != DType.EIGHT_BIT_FLOATS)
        .forEach(
            type -> all.add(new QuantizationFormat(type.name().toLowerCase(Locale.ROOT), type)));
    all.add(KEEP);
    return all;
  }

  /**
   * The format of this name.
   *
   * @throws IllegalArgumentException with all names if it does not exist
   */
  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  public static QuantizationFormat named(String name) {
    return all().stream()
        .filter(format -> format.name.equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("expected one of " + all()));
  }

  /**
   * The blocks for rows of {@code columns} elements. If they do not divide a row, smaller ones with
   * at least as many bits. Empty if the matrix is not rounded.
   */
  Optional<DType> of(long columns) {
    for (DType blocks = dtype; blocks != null; blocks = blocks.smaller()) {
      if (columns % blocks.blockElements() == 0) {
        return Optional.of(blocks);
      }
    }
    return Optional.empty();
  }

  /** The name, and the bits per element including scales. */
  public String described() {
    return dtype == null
        ? name
        : String.format(
            Locale.ROOT, "%s (%.3g)", name, 8.0 * dtype.blockBytes() / dtype.blockElements());
  }

  @JsonValue
  @Override
  public String toString() {
    return name;
  }
}
