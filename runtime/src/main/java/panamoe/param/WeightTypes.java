package panamoe.param;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import panamoe.param.Parameter.Part;
import panamoe.param.Parameter.Role;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The dtypes of a model's weights in inference.
 *
 * @param compute of activations, and of weights except vectors and routers, which are FLOAT32
 * @param matrices of matrices that {@link #mayBeBlocks}: {@code compute}, or blocks. With {@link
 *     DType#INT4_BLOCKS} the embedding and the head are {@link DType#INT6_BLOCKS} if rows are whole
 *     blocks, else {@link DType#INT8_BLOCKS}: an error there is an error of every token.
 * @param stored of matrices that keep the file's format, by {@link Parameter#tensorName}: the dtype
 *     of their blocks, or {@code compute} if they are decoded
 * @param exact whether a CPU does not round rows that are multiplied by blocks ({@link
 *     Tensor#exact})
 */
public record WeightTypes(DType compute, DType matrices, Map<String, DType> stored, boolean exact) {
  /** Matrices in blocks; a CPU rounds the rows to int8. */
  public WeightTypes(DType compute, DType matrices) {
    this(compute, matrices, Map.of(), false);
  }

  /** These dtypes with another {@code exact}. */
  public WeightTypes withExact(boolean exact) {
    return new WeightTypes(compute, matrices, stored, exact);
  }

  /** One dtype for all matrices. */
  public static WeightTypes of(DType compute) {
    return new WeightTypes(compute, compute);
  }

  /** Whether matrices are in blocks. */
  public boolean quantized() {
    return matrices.isBlocks() || stored.values().stream().anyMatch(DType::isBlocks);
  }

  /** The dtypes of this rank's matrices of a parameter, or of the whole. */
  public List<DType> of(Parameter parameter) {
    return IntStream.range(0, parameter.matrices()).mapToObj(i -> of(parameter, i)).toList();
  }

  /**
   * The dtype of a matrix. Rows that are not whole blocks are in the compute dtype.
   *
   * @param matrix index among this rank's matrices of the parameter
   */
  public DType of(Parameter parameter, int matrix) {
    DType wanted = wanted(parameter, matrix);
    return mayBeBlocks(parameter) && columns(parameter) % wanted.blockElements() == 0
        ? wanted
        : parameter.valueDType(compute);
  }

  /** Bytes of this rank's matrices of a parameter on a CPU, without padding. */
  public long packedBytes(Parameter parameter) {
    int matrices = parameter.matrices();
    return bytes(parameter, matrices, parameter.count() / matrices, true);
  }

  /**
   * Bytes of some of a parameter's matrices, those that take most, without padding.
   *
   * @param held their number
   * @param elements of each
   * @param onHost whether a CPU packs them
   */
  public long bytes(Parameter parameter, int held, long elements, boolean onHost) {
    if (stored.isEmpty()) { // planners ask this often
      return held * bytes(of(parameter, 0), elements, onHost);
    }
    return of(parameter).stream()
        .map(dtype -> bytes(dtype, elements, onHost))
        .sorted(Comparator.reverseOrder())
        .limit(held)
        .mapToLong(Long::longValue)
        .sum();
  }

  private static long bytes(DType dtype, long elements, boolean onHost) {
    return onHost ? dtype.packedBytes(elements) : dtype.bytes(elements);
  }

  /** Notes for the user on matrices that are not rounded, or experts' that are decoded. */
  Optional<String> note(List<Parameter> parameters) {
    if (exact && parameters.stream().noneMatch(this::inBlocks)) {
      return Optional.of("activations are not rounded anyway: no weight is held in blocks");
    }
    boolean asStored = !stored.isEmpty();
    String dtype = compute.name().toLowerCase(Locale.ROOT);
    List<Parameter> experts = parameters.stream().filter(WeightTypes::isExpert).toList();
    boolean dense = experts.isEmpty();
    if (asStored && (dense ? parameters : experts).stream().noneMatch(this::inBlocks)) {
      String matrix = dense ? "matrix" : "expert's matrix";
      return Optional.of(
          "no " + matrix + " is stored in blocks that can be multiplied by: all are " + dtype);
    }
    List<Parameter> kept =
        (asStored ? experts : parameters)
            .stream()
                .filter(p -> !inBlocks(p))
                .filter(p -> asStored || mayBeBlocks(p) && wanted(p, 0).isBlocks())
                .toList();
    if (kept.isEmpty()) {
      return Optional.empty();
    }
    Parameter first = kept.getFirst();
    int more = kept.size() - 1;
    String names = first.name() + (more == 0 ? " " : " and " + more + " more ");
    return Optional.of(
        asStored
            ? names
                + (more == 0 ? "is " : "are ")
                + dtype
                + ": not stored in whole blocks of one type that can be multiplied by"
            : names
                + (more == 0 ? "stays " : "stay ")
                + dtype
                + ": its rows of "
                + columns(first)
                + " elements are no whole blocks of "
                + wanted(first, 0).blockElements());
  }

  private boolean inBlocks(Parameter parameter) {
    return of(parameter).stream().anyMatch(DType::isBlocks);
  }

  /** Whether a parameter holds experts' matrices. */
  public static boolean isExpert(Parameter parameter) {
    return parameter.part() == Part.EXPERT && parameter.role() == Role.OPERAND;
  }

  /** Whether kernels multiply by a parameter in blocks: by matrices, not by routers. */
  public static boolean mayBeBlocks(Parameter parameter) {
    return switch (parameter.part()) {
      case ROUTER, COEFFICIENT -> false;
      default -> parameter.role() == Role.OPERAND;
    };
  }

  /** A view of a packed operand that is {@link #exact} if these types are. */
  public Tensor multiplied(Tensor packed) {
    return exact ? packed.asExact() : packed;
  }

  private DType wanted(Parameter parameter, int matrix) {
    DType usual = matrices;
    if (parameter.part() == Part.EMBEDDING && matrices == DType.INT4_BLOCKS) {
      boolean whole = columns(parameter) % DType.INT6_BLOCKS.blockElements() == 0;
      usual = whole ? DType.INT6_BLOCKS : DType.INT8_BLOCKS;
    }
    return stored.isEmpty()
        ? usual
        : stored.getOrDefault(parameter.tensorName(parameter.expert(matrix)), usual);
  }

  private static long columns(Parameter parameter) {
    long[] shape = parameter.shape();
    return shape[shape.length - 1];
  }
}
