package panamoe.param;

import java.util.ArrayList;
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
 * @param matrices of matrices that {@link #mayBeBlocks}: {@code compute}, or blocks; embedding and
 *     head by {@link DType#ofVocabulary}, in smaller blocks if these do not divide their rows
 * @param stored of matrices that the file has in blocks, by {@link Parameter#tensorName}: the dtype
 *     of the blocks, or {@code compute} if they are decoded; if it has none, {@code compute} of all
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

  /** Notes for the user on matrices that are not rounded, or are decoded. */
  Optional<String> note(List<Parameter> parameters) {
    boolean blocks = parameters.stream().anyMatch(this::inBlocks);
    if (exact && !blocks) {
      return Optional.of("activations are not rounded anyway: no weight is held in blocks");
    }
    String dtype = compute.name().toLowerCase(Locale.ROOT);
    if (!stored.isEmpty()) {
      return blocks
          ? decoded(parameters)
              .map(
                  names ->
                      names
                          + " decoded to "
                          + dtype
                          + ": not stored in whole blocks that can be multiplied by")
          : Optional.of(
              "no matrix is stored in blocks that can be multiplied by: all are " + dtype);
    }
    List<Parameter> kept =
        parameters.stream()
            .filter(WeightTypes::mayBeBlocks)
            .filter(p -> !inBlocks(p) && wanted(p, 0).isBlocks())
            .toList();
    if (kept.isEmpty()) {
      return Optional.empty();
    }
    Parameter first = kept.getFirst();
    int more = kept.size() - 1;
    return Optional.of(
        first.name()
            + (more == 0 ? " stays " : " and " + more + " more stay ")
            + dtype
            + ": its rows of "
            + columns(first)
            + " elements are no whole blocks of "
            + wanted(first, 0).blockElements());
  }

  /** The first matrix that the file has in blocks and that is held without, and their number. */
  private Optional<String> decoded(List<Parameter> parameters) {
    List<String> decoded = new ArrayList<>();
    for (Parameter parameter : parameters) {
      for (int i = 0; i < parameter.matrices(); i++) {
        String name = parameter.tensorName(parameter.expert(i));
        if (stored.containsKey(name) && !of(parameter, i).isBlocks()) {
          decoded.add(name);
        }
      }
    }
    int more = decoded.size() - 1;
    return more < 0
        ? Optional.empty()
        : Optional.of(decoded.getFirst() + (more == 0 ? " is" : " and " + more + " more are"));
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
    DType usual =
        parameter.part() == Part.EMBEDDING && matrices.isBlocks()
            ? matrices.ofVocabulary().dividing(columns(parameter)).orElse(matrices)
            : matrices;
    return stored.isEmpty()
        ? usual
        : stored.getOrDefault(parameter.tensorName(parameter.expert(matrix)), usual);
  }

  private static long columns(Parameter parameter) {
    long[] shape = parameter.shape();
    return shape[shape.length - 1];
  }
}
