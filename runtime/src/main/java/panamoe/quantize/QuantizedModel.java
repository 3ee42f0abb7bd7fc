package panamoe.quantize;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointFolder;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.TensorFiles;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model whose {@link ModelTensors#quantizedMatrices} are in blocks, and its folder.
 *
 * @param blocks of the rounded matrices
 * @param unfit matrices that are not rounded because their rows are not whole blocks
 */
public record QuantizedModel(
    ModelFolder source,
    Map<QuantizedMatrix, DType> blocks,
    List<QuantizedMatrix> unfit,
    Calibration calibration) {
  /**
   * Refuses a model that cannot be quantized, and a plan that does not fit it.
   *
   * @param everywhere the format of matrices without a rule; those of embedding and head have at
   *     least 8 bits, because an error there is an error of every token. Null to leave them open.
   * @return the requested formats
   * @throws IllegalArgumentException in one sentence
   */
  public static Map<QuantizedMatrix, QuantizationFormat> wanted(
      ModelFolder source, QuantizationPlan plan, QuantizationFormat everywhere) {
    if (source.config().encoder() != null) {
      throw new IllegalArgumentException(
          source.path() + " has an encoder; only models of a decoder alone are quantized");
    }
    List<QuantizedMatrix> matrices = ModelTensors.quantizedMatrices(source.config());
    Map<String, DType> already = new TreeMap<>(source.weights().blocks(source.config()));
    already.values().removeIf(it -> it == DType.EIGHT_BIT_FLOATS); // models are published so
    if (!already.isEmpty()) {
      Map.Entry<String, DType> first = already.entrySet().iterator().next();
      throw Require.refusal(
          "%s is in blocks already, %s in %s: rounding it again would add errors; begin with"
              + " the model that it was made of",
          source.path(), first.getKey(), first.getValue());
    }
    Map<QuantizedMatrix, QuantizationFormat> wanted = plan.of(matrices);
    if (everywhere == null) {
      return wanted;
    }
    for (QuantizedMatrix matrix : matrices) {
      boolean raised = matrix.layer() < 0 && isBelow8Bits(everywhere.dtype());
      wanted.putIfAbsent(matrix, raised ? QuantizationFormat.INT8 : everywhere);
    }
    if (wanted.entrySet().stream()
        .allMatch(it -> it.getValue().of(it.getKey().columns()).isEmpty())) {
      throw new IllegalArgumentException(
          "nothing is to be rounded: every matrix is kept, or its rows are no whole blocks of 32");
    }
    return wanted;
  }

  /**
   * @param wanted from {@link #wanted}
   */
  public static QuantizedModel of(
      ModelFolder source,
      Map<QuantizedMatrix, QuantizationFormat> wanted,
      Calibration calibration) {
    Map<QuantizedMatrix, DType> blocks = new LinkedHashMap<>();
    List<QuantizedMatrix> unfit = new ArrayList<>();
    wanted.forEach(
        (matrix, format) -> {
          Optional<DType> held = held(matrix, format, calibration);
          held.ifPresent(it -> blocks.put(matrix, it));
          if (held.isEmpty() && format.dtype() != null) {
            unfit.add(matrix);
          }
        });
    return new QuantizedModel(source, blocks, unfit, calibration);
  }

  /**
   * Writes a folder that {@link ModelFolder} opens. After a failure nothing is left.
   *
   * @param target must not exist
   * @param others contents of further files by name
   * @param threads that round
   * @param progress gets the written part, 0 to 1
   * @param check is called with the written folder before it is renamed
   * @throws CheckpointException if it cannot be written
   * @throws IllegalArgumentException if a weight is not finite, or too large for its blocks
   */
  public void write(
      Path target,
      Map<String, byte[]> others,
      int threads,
      DoubleConsumer progress,
      Consumer<Path> check) {
    Map<String, byte[]> files = new LinkedHashMap<>(others);
    files.putAll(source.tokenizerFiles().contents());
    try (TensorFiles opened = source.weights().open();
        ForkJoinPool pool = new ForkJoinPool(threads)) {
      Map<String, RowSource> sources = source.weights().rows(opened, source.config());
      Map<String, QuantizedMatrix> byName = new HashMap<>();
      blocks.keySet().forEach(matrix -> byName.put(matrix.name(), matrix));
      Map<String, Elements> tensors = new TreeMap<>();
      AtomicLong written = new AtomicLong();
      long[] all = new long[1];
      ModelTensors.shapes(source.config())
          .forEach(
              (name, shape) -> {
                RowSource rows = sources.get(name);
                QuantizedMatrix matrix = byName.get(name);
                all[0] += rows.rows() * rows.columns();
                DType dtype = matrix == null ? rows.dtype() : blocks.get(matrix);
                float[] weights = matrix == null ? null : calibration.weights(matrix);
                tensors.put(
                    name,
                    new RowRounding(
                        name,
                        rows,
                        shape,
                        dtype,
                        weights,
                        count -> progress.accept((double) written.addAndGet(count) / all[0]),
                        pool));
              });
      ObjectNode config = JsonNodeFactory.instance.objectNode();
      config.set("model", ConfigJson.tree(source.config()));
      config.set(Checkpoint.QUANTIZATION, description());
      CheckpointFolder.write(
          target,
          new CheckpointContents(
              step(),
              config,
              JsonNodeFactory.instance.objectNode(),
              source.config().experts(),
              tensors,
              Map.of()),
          files,
          check);
    }
  }

  private static boolean isBelow8Bits(DType blocks) {
    return blocks != null && blocks.blockBytes() < blocks.blockElements();
  }

  /**
   * The blocks of a matrix by its format; int8 for fewer bits of an expert that was not reached.
   */
  static Optional<DType> held(
      QuantizedMatrix matrix, QuantizationFormat format, Calibration calibration) {
    return format
        .of(matrix.columns())
        .map(
            blocks ->
                isBelow8Bits(blocks) && !calibration.reached(matrix) ? DType.INT8_BLOCKS : blocks);
  }

  private long step() {
    return source.weights() instanceof StoredWeights.Saved(Checkpoint checkpoint, _)
        ? checkpoint.step()
        : 0;
  }

  /** Matrices by block format. */
  public Map<DType, Long> counts() {
    Map<DType, Long> counts = new TreeMap<>();
    blocks.values().forEach(dtype -> counts.merge(dtype, 1L, Long::sum));
    return counts;
  }

  private ObjectNode description() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("source", source.weights().sha256());
    json.put("calibration_tokens", calibration.tokens());
    ObjectNode matrices = json.putObject("matrices");
    counts().forEach((dtype, count) -> matrices.put(dtype.name(), count));
    return json;
  }
}
