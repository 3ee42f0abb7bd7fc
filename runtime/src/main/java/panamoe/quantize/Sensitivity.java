package panamoe.quantize;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;
import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.TensorFiles;
import panamoe.data.TokenWindows;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * What formats would cost. The loss of a format is the measured loss of the matrix's class, alone
 * in {@link RoundingError#PROBE}, times the format's error as a part of the class's error then: for
 * small errors, the divergence of a model's predictions grows with their squares.
 *
 * @param stacks each gets one format
 * @param classes the loss of each class alone in the probe's format, by {@link Stack#names}
 * @param otherBytes of tensors that are never rounded
 * @param elements of all tensors
 */
public record Sensitivity(
    List<Stack> stacks, Map<String, Double> classes, long otherBytes, long elements) {
  /** Most tokens on which a class is measured. */
  private static final long PROBED_TOKENS = 8192;

  /**
   * The matrices of a parameter.
   *
   * @param names of them and of all others of their class, in a plan
   * @param options their formats; one if a plan's rules decide
   */
  public record Stack(List<QuantizedMatrix> matrices, String names, List<Option> options) {}

  /**
   * A format of a stack.
   *
   * @param loss the expected rise of the cross-entropy, as a part of the source's
   */
  public record Option(QuantizationFormat format, long bytes, double loss) {}

  /** Rounds samples of matrices. */
  private record Samples(
      Map<QuantizedMatrix, QuantizationFormat> rules,
      Map<String, RowSource> rows,
      Calibration calibration,
      Map<QuantizedMatrix, RoundingError> errors) {
    void round(QuantizedMatrix matrix) {
      Set<DType> types =
          Stream.concat(formats(matrix).stream(), Stream.ofNullable(rules.get(matrix)))
              .flatMap(format -> format.of(matrix.columns()).stream())
              .collect(toSet());
      RowSource source = rows.get(matrix.name());
      errors.put(matrix, RoundingError.of(matrix, source, calibration, types));
    }

    /** Errors of matrices, as a part of the squares of their outputs. */
    double part(List<QuantizedMatrix> matrices, Function<QuantizedMatrix, Double> error) {
      double energy = matrices.stream().mapToDouble(it -> errors.get(it).energy()).sum();
      return energy == 0 ? 0 : matrices.stream().mapToDouble(error::apply).sum() / energy;
    }

    double probe(List<QuantizedMatrix> matrices) {
      return part(matrices, it -> errors.get(it).probe());
    }

    /** The options of a stack, by the loss of an error. */
    List<Option> options(List<QuantizedMatrix> matrices, double lossOfError) {
      QuantizedMatrix first = matrices.getFirst();
      boolean open = matrices.stream().anyMatch(it -> !rules.containsKey(it));
      List<Option> options = new ArrayList<>();
      for (QuantizationFormat format : open ? formats(first) : List.of(rules.get(first))) {
        Function<QuantizedMatrix, Optional<DType>> held =
            it -> QuantizedModel.held(it, rules.getOrDefault(it, format), calibration);
        long bytes =
            matrices.stream().mapToLong(it -> bytes(it, held.apply(it).orElse(stored(it)))).sum();
        double error =
            part(matrices, it -> held.apply(it).map(errors.get(it).searched()::get).orElse(0.0));
        options.add(new Option(format, bytes, lossOfError * error));
      }
      return options;
    }

    DType stored(QuantizedMatrix matrix) {
      return rows.get(matrix.name()).dtype();
    }

    static long bytes(QuantizedMatrix matrix, DType dtype) {
      return dtype.bytes(matrix.rows() * matrix.columns());
    }
  }

  /**
   * Rounds samples of all matrices, and measures each class of them.
   *
   * @param source the folder's model, loaded
   * @param rules the formats of matrices that are not open to choice
   * @param windows of the text to measure on
   * @param most tokens to measure on
   * @param progress gets the finished part, 0 to 1
   * @throws CancellationException if the thread is interrupted
   */
  public static Sensitivity of(
      Backend backend,
      ModelFolder folder,
      LanguageModel source,
      Map<QuantizedMatrix, QuantizationFormat> rules,
      Calibration calibration,
      TokenWindows windows,
      long most,
      DoubleConsumer progress) {
    List<QuantizedMatrix> matrices = ModelTensors.quantizedMatrices(folder.config());
    Map<String, List<List<QuantizedMatrix>>> byClass = new LinkedHashMap<>();
    matrices.stream()
        .collect(groupingBy(QuantizedMatrix::parameter, LinkedHashMap::new, toList()))
        .values()
        .forEach(
            stack ->
                byClass
                    .computeIfAbsent(
                        QuantizationPlan.names(stack.getFirst()), _ -> new ArrayList<>())
                    .add(stack));
    try (TensorFiles files = folder.weights().open();
        ForkJoinPool pool = new ForkJoinPool(backend.threads())) {
      Map<String, RowSource> rows = folder.weights().rows(files, folder.config());
      Samples samples = new Samples(rules, rows, calibration, new ConcurrentHashMap<>());
      Consumer<QuantizedMatrix> round =
          matrix -> {
            samples.round(matrix);
            progress.accept(0.5 * samples.errors.size() / matrices.size());
          };
      pool.submit(() -> matrices.parallelStream().forEach(round)).join();
      List<Stack> stacks = new ArrayList<>();
      Map<String, Double> classes = new LinkedHashMap<>();
      byClass.forEach(
          (names, members) -> {
            double loss = loss(backend, folder, source, members, windows, most);
            double error = members.stream().mapToDouble(samples::probe).sum();
            for (List<QuantizedMatrix> stack : members) {
              List<Option> options = samples.options(stack, error == 0 ? 0 : loss / error);
              stacks.add(new Stack(stack, names, options));
            }
            classes.put(names, loss);
            progress.accept(0.5 + 0.5 * classes.size() / byClass.size());
          });
      return new Sensitivity(
          stacks, classes, otherBytes(folder, rows), source.parameters().count());
    }
  }

  /**
   * The bytes of all tensors in their smallest formats.
   *
   * @param rules the formats of matrices that are not open to choice
   * @param calibration null before any text is read: then as if tokens reached all experts
   */
  public static long leastBytes(
      ModelFolder folder, Map<QuantizedMatrix, QuantizationFormat> rules, Calibration calibration) {
    try (TensorFiles files = folder.weights().open()) {
      Map<String, RowSource> rows = folder.weights().rows(files, folder.config());
      long bytes = otherBytes(folder, rows);
      for (QuantizedMatrix matrix : ModelTensors.quantizedMatrices(folder.config())) {
        DType stored = rows.get(matrix.name()).dtype();
        QuantizationFormat rule = rules.get(matrix);
        bytes +=
            (rule == null ? formats(matrix) : List.of(rule))
                .stream()
                    .map(it -> QuantizedModel.held(matrix, it, calibration))
                    .mapToLong(it -> Samples.bytes(matrix, it.orElse(stored)))
                    .min()
                    .orElseThrow();
      }
      return bytes;
    }
  }

  /** The bytes of all tensors if none is rounded. */
  public static long wholeBytes(ModelFolder folder) {
    return leastBytes(
        folder,
        ModelTensors.quantizedMatrices(folder.config()).stream()
            .collect(toMap(it -> it, _ -> QuantizationFormat.KEEP)),
        null);
  }

  private static long otherBytes(ModelFolder folder, Map<String, RowSource> rows) {
    Map<String, long[]> others = ModelTensors.shapes(folder.config());
    ModelTensors.quantizedMatrices(folder.config()).forEach(it -> others.remove(it.name()));
    return others.entrySet().stream()
        .mapToLong(it -> rows.get(it.getKey()).dtype().bytes(Tensor.count(it.getValue())))
        .sum();
  }

  /** The formats to choose from: those that divide a row and that GGUF files have, and none. */
  private static List<QuantizationFormat> formats(QuantizedMatrix matrix) {
    return QuantizationFormat.all().stream()
        .filter(
            format ->
                format.dtype() == null
                    || format.dtype().blocks().gguf() >= 0
                        && format.dtype().name().equalsIgnoreCase(format.name())
                        && matrix.columns() % format.dtype().blockElements() == 0)
        .toList();
  }

  /** The loss with some stacks in the probe's format. */
  private static double loss(
      Backend backend,
      ModelFolder folder,
      LanguageModel source,
      List<List<QuantizedMatrix>> stacks,
      TokenWindows windows,
      long most) {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("the measurement was interrupted");
    }
    DType compute = source.activationDType();
    Map<String, DType> probed =
        stacks.stream()
            .flatMap(List::stream)
            .collect(toMap(QuantizedMatrix::name, _ -> RoundingError.PROBE));
    WeightTypes types = new WeightTypes(compute, compute, probed, true);
    try (LanguageModel rounded = folder.load(backend, InferenceSettings.of(types), null)) {
      Divergence measured =
          Divergence.of(backend, source, rounded, windows, Math.min(PROBED_TOKENS, most), _ -> {});
      return measured.nats() / measured.before().natsPerToken();
    }
  }
}
