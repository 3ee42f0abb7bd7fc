package panamoe.param;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import panamoe.param.Parameter.Part;
import panamoe.param.Parameter.Role;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The dtypes of a model's weights in inference.
 *
 * @param compute of activations, and of weights except vectors and routers, which are FLOAT32
 * @param experts of experts' matrices: {@code compute}, or blocks
 * @param matrices of others, by parameter: blocks, of the file or rounded; {@code compute} if the
 *     file's are decoded
 * @param exact whether a CPU does not round rows that are multiplied by blocks ({@link
 *     Tensor#exact})
 */
public record WeightTypes(
    DType compute, DType experts, Map<String, DType> matrices, boolean exact) {
  /** The name in {@code matrices} of a tied head, whose embedding is a table in {@code compute}. */
  public static final String TIED_HEAD = "head.weight";

  /** Experts in blocks; a CPU rounds the rows to int8. */
  public WeightTypes(DType compute, DType experts) {
    this(compute, experts, Map.of(), false);
  }

  /** These dtypes with another {@code exact}. */
  public WeightTypes withExact(boolean exact) {
    return new WeightTypes(compute, experts, matrices, exact);
  }

  /** One dtype for experts and all others. */
  public static WeightTypes of(DType compute) {
    return new WeightTypes(compute, compute);
  }

  /** Whether matrices are in blocks. */
  public boolean quantized() {
    return experts.isBlocks() || matrices.values().stream().anyMatch(DType::isBlocks);
  }

  /** The dtype of a parameter. Rows that are not whole blocks are in the compute dtype. */
  public DType of(Parameter parameter) {
    boolean named = isExpert(parameter) || matrices.containsKey(parameter.name());
    return named && fits(parameter) ? wanted(parameter) : parameter.valueDType(compute);
  }

  /** The dtype of a tied head. */
  public DType ofTiedHead() {
    return matrices.getOrDefault(TIED_HEAD, compute);
  }

  /** Notes for the user on matrices that are not rounded, or are decoded. */
  Optional<String> note(List<Parameter> parameters) {
    if (exact && parameters.stream().noneMatch(p -> of(p).isBlocks())) {
      return Optional.of("activations are not rounded anyway: no weight is held in blocks");
    }
    boolean asStored = !matrices.isEmpty() && !experts.isBlocks();
    List<Parameter> named =
        parameters.stream()
            .filter(p -> isExpert(p) || !asStored && matrices.containsKey(p.name()))
            .toList();
    List<Parameter> kept =
        named.stream().filter(p -> asStored ? !of(p).isBlocks() : !fits(p)).toList();
    if (kept.isEmpty()) {
      return Optional.empty();
    }
    String dtype = compute.name().toLowerCase(Locale.ROOT);
    if (asStored && kept.size() == named.size()) {
      return Optional.of(
          "no expert's matrix is stored in blocks that can be multiplied by: all are " + dtype);
    }
    Parameter first = kept.getFirst();
    int more = kept.size() - 1;
    String names = first.name() + (more == 0 ? " " : " and " + more + " more ");
    return Optional.of(
        asStored
            ? names
                + (more == 0 ? "is decoded to " : "are decoded to ")
                + dtype
                + ": not stored in whole blocks of one type that can be multiplied by"
            : names
                + (more == 0 ? "stays " : "stay ")
                + dtype
                + ": its rows of "
                + columns(first)
                + " elements are no whole blocks of "
                + wanted(first).blockElements());
  }

  /** Whether a parameter holds experts' matrices. */
  public static boolean isExpert(Parameter parameter) {
    return parameter.part() == Part.EXPERT && parameter.role() == Role.OPERAND;
  }

  /** Whether kernels multiply by a parameter in blocks: by matrices, not by routers. */
  public static boolean mayBeBlocks(Parameter parameter) {
    return switch (parameter.part()) {
      case ROUTER, COEFFICIENT -> false;
      case EXPERT -> isExpert(parameter);
      default -> parameter.role() == Role.OPERAND && parameter.shape().length == 2;
    };
  }

  /** A view of a packed operand that is {@link #exact} if these types are. */
  public Tensor multiplied(Tensor packed) {
    return exact ? packed.asExact() : packed;
  }

  private DType wanted(Parameter parameter) {
    return matrices.getOrDefault(parameter.name(), experts);
  }

  private boolean fits(Parameter parameter) {
    return columns(parameter) % wanted(parameter).blockElements() == 0;
  }

  private static long columns(Parameter parameter) {
    long[] shape = parameter.shape();
    return shape[shape.length - 1];
  }
}
