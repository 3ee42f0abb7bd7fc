package panamoe.harness.quantize;

import static java.util.stream.Collectors.joining;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.quantize.Divergence;
import panamoe.quantize.FormatChoice;
import panamoe.quantize.QuantizedModel;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The result of a quantization.
 *
 * @param calibrated what the calibration is of: a text, or an importance matrix
 * @param measured the text that it was measured on; null if not measured
 * @param divergence null if not measured
 * @param choice null if nothing was chosen
 * @param missed losses that were measured with choices before, because they were too large
 */
record QuantizationReport(
    QuantizedModel model,
    String calibrated,
    String measured,
    Divergence divergence,
    FormatChoice choice,
    List<Double> missed,
    Path out) {
  private static final int SHOWN = 20;

  /** Experts that no token reached, by layer. */
  private Map<Integer, TreeSet<Integer>> unreached() {
    Map<Integer, TreeSet<Integer>> unreached = new TreeMap<>();
    for (QuantizedMatrix matrix : ModelTensors.quantizedMatrices(model.source().config())) {
      if (!model.calibration().reached(matrix)) {
        unreached.computeIfAbsent(matrix.layer(), _ -> new TreeSet<>()).add(matrix.expert());
      }
    }
    return unreached;
  }

  private int experts() {
    return model.source().config().experts().stream().mapToInt(count -> count).sum();
  }

  String toText() {
    StringBuilder text = new StringBuilder();
    Map<Integer, TreeSet<Integer>> unreached = unreached();
    int left = unreached.values().stream().mapToInt(TreeSet::size).sum();
    line(
        text,
        "calibrated on %s of %s%s",
        Count.of(model.calibration().tokens(), "token"),
        calibrated,
        experts() == 0
            ? ""
            : Words.of(", which reached %d of %d experts", experts() - left, experts()));
    if (left > 0) {
      String names =
          unreached.entrySet().stream()
              .map(layer -> "layer " + layer.getKey() + ": " + some(layer.getValue()))
              .collect(joining("; "));
      line(text, "%s never reached, in int8: %s", Count.of(left, "expert"), names);
    }
    String counts =
        model.counts().entrySet().stream()
            .map(it -> it.getValue() + " in " + it.getKey().name().toLowerCase(Locale.ROOT))
            .collect(joining(", "));
    line(text, "matrices: %s", counts);
    if (!model.unfit().isEmpty()) {
      QuantizedMatrix first = model.unfit().getFirst();
      line(
          text,
          "kept, because their rows do not divide into blocks of 32: %s of %d columns, and %d more",
          first.name(),
          first.columns(),
          model.unfit().size() - 1);
    }
    if (choice != null) {
      new ChoiceTable(choice).lines().forEach(row -> line(text, "%s", row));
      missed.forEach(
          loss ->
              line(
                  text, "a choice before was given up: its measured loss was %.3f %%", 100 * loss));
    }
    line(
        text,
        "weights: %,.1f MiB before, %,.1f MiB after",
        mebibytes(bytesBefore()),
        mebibytes(bytesAfter()));
    if (divergence != null) {
      line(
          text,
          "bits per byte: %.4f before, %.4f after (%+.2f %%); mean KL %.2e nats a token; %s held out of %s",
          divergence.before().bitsPerByte(),
          divergence.after().bitsPerByte(),
          100 * divergence.loss(),
          divergence.nats(),
          Count.of(divergence.before().tokens(), "token"),
          measured);
    }
    text.append("written to ").append(out);
    return text.toString();
  }

  private static String some(Set<Integer> experts) {
    String shown = experts.stream().limit(SHOWN).map(String::valueOf).collect(joining(", "));
    return shown + (experts.size() > SHOWN ? ", ..." : "");
  }

  ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("out", out.toString());
    json.put("calibrated_on", calibrated);
    json.put("measured_on", measured);
    json.put("calibration_tokens", model.calibration().tokens());
    json.put("experts", experts());
    ObjectNode layers = json.putObject("unreached");
    unreached()
        .forEach((layer, experts) -> experts.forEach(layers.putArray(layer.toString())::add));
    ObjectNode matrices = json.putObject("matrices");
    model
        .counts()
        .forEach((format, count) -> matrices.put(format.name().toLowerCase(Locale.ROOT), count));
    json.put("kept", model.unfit().size());
    if (choice != null) {
      new ChoiceTable(choice).putInto(json);
      missed.forEach(json.putArray("missed")::add);
    }
    json.put("bytes_before", bytesBefore());
    json.put("bytes_after", bytesAfter());
    if (divergence != null) {
      json.put("bits_per_byte_before", divergence.before().bitsPerByte());
      json.put("bits_per_byte_after", divergence.after().bitsPerByte());
      json.put("kl", divergence.nats());
      json.put("tokens", divergence.before().tokens());
    }
    return json;
  }

  private long bytesBefore() {
    return model.source().weights().bytes();
  }

  private long bytesAfter() {
    return ModelFolder.open(out).weights().bytes();
  }

  private static double mebibytes(long bytes) {
    return bytes / (double) (1 << 20);
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(Words.of(format, values)).append(System.lineSeparator());
  }
}
