package panamoe.param;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import panamoe.param.Parameter.Part;
import panamoe.param.Parameter.Role;
import panamoe.tensor.DType;

/**
 * The dtypes in which a model's weights are held for inference.
 *
 * @param compute of activations, and of weights beside vectors and routers, which are FLOAT32
 * @param experts of experts' matrices: {@code compute}, or blocks
 */
public record WeightTypes(DType compute, DType experts) {
  /** Experts as all others. */
  public static WeightTypes of(DType compute) {
    return new WeightTypes(compute, compute);
  }

  /** Whether experts' matrices are rounded to blocks. */
  public boolean quantized() {
    return experts.isBlocks();
  }

  /** The dtype of a parameter. Rows that are no whole blocks stay in the dtype of computing. */
  public DType of(Parameter parameter) {
    return isExpert(parameter) && fits(parameter) ? experts : parameter.valueDType(compute);
  }

  /** What a user should know: matrices that stay as they are. */
  Optional<String> note(List<Parameter> parameters) {
    List<Parameter> kept = parameters.stream().filter(p -> isExpert(p) && !fits(p)).toList();
    if (kept.isEmpty()) {
      return Optional.empty();
    }
    Parameter first = kept.getFirst();
    return Optional.of(
        first.name()
            + (kept.size() == 1 ? " stays " : " and " + (kept.size() - 1) + " more stay ")
            + compute.name().toLowerCase(Locale.ROOT)
            + ": its rows of "
            + columns(first)
            + " elements are no whole blocks of "
            + experts.blockElements());
  }

  private static boolean isExpert(Parameter parameter) {
    return parameter.part() == Part.EXPERT && parameter.role() == Role.OPERAND;
  }

  private boolean fits(Parameter parameter) {
    return columns(parameter) % experts.blockElements() == 0;
  }

  private static long columns(Parameter parameter) {
    long[] shape = parameter.shape();
    return shape[shape.length - 1];
  }
}
