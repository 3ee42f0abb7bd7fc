package panamoe.quantize;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import panamoe.tensor.DType;

/** What an expert's matrix is rounded to, by the names of the command line and of plans. */
public enum BlockFormat {
  INT8(DType.Q8_0),
  INT4(DType.Q4_0),
  Q8_0(DType.Q8_0),
  Q8_64(DType.Q8_64),
  Q8_128(DType.Q8_128),
  Q4_0(DType.Q4_0),
  Q5_0(DType.Q5_0),
  Q4_K(DType.Q4_K),
  Q5_K(DType.Q5_K),
  Q6_K(DType.Q6_K),
  MXFP4(DType.MXFP4),
  /** It stays as it is. */
  KEEP(null);

  private final DType dtype;

  BlockFormat(DType dtype) {
    this.dtype = dtype;
  }

  @JsonCreator
  static BlockFormat named(String name) {
    return Arrays.stream(values())
        .filter(format -> format.toString().equals(name))
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("expected one of " + Arrays.toString(values())));
  }

  /**
   * The blocks for rows of {@code columns} elements. Large ones give way to smaller ones with at
   * least as many bits where they do not divide a row. Empty if the matrix stays as it is.
   */
  Optional<DType> of(long columns) {
    if (dtype == null || columns % DType.Q8_0.blockElements() != 0) {
      return Optional.empty();
    }
    DType smaller =
        switch (dtype) {
          case Q4_K -> DType.Q5_0;
          case Q8_128 -> DType.Q8_64;
          default -> DType.Q8_0;
        };
    return Stream.of(dtype, smaller, DType.Q8_0)
        .filter(blocks -> columns % blocks.blockElements() == 0)
        .findFirst();
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
