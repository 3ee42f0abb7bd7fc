package panamoe.harness.inspect;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import panamoe.checkpoint.Checkpoint;
import panamoe.config.AdapterConfig;
import panamoe.config.BlockConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.EmbeddingConfig.Positions;
import panamoe.config.ModelConfig;
import panamoe.harness.Quantization;
import panamoe.harness.train.Presets;
import panamoe.io.Count;
import panamoe.io.MemoryParts;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.open.AdaptedBase;
import panamoe.open.InferenceMemory;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.parallel.Topology;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model's sizes.
 *
 * @param source checkpoint, folder or configuration file
 * @param step of the checkpoint; null for others
 * @param training null for a released, quantized or externally trained model
 * @param parameters counts by part
 * @param adapters whose training is forecast; null: none
 * @param token cost to generate the last token of a full context, in {@link #dtype}
 */
public record ModelTable(
    Path source,
    Long step,
    ModelConfig config,
    TrainConfig training,
    ParameterCounts parameters,
    AdapterConfig adapters,
    Cost token) {
  /** The table of a run's configuration, without a checkpoint. */
  static ModelTable ofConfig(Path file) {
    RunConfig config = RunConfig.read(file);
    return of(file, null, config.model(), config.training());
  }

  /**
   * The table of a run's folder or a checkpoint.
   *
   * @param verify whether to compare the checksum of every file with the manifest
   */
  static ModelTable ofCheckpoint(Path path, boolean verify) {
    return ModelFolder.read(path, folder -> of(folder, verify));
  }

  private static ModelTable of(ModelFolder folder, boolean verify) {
    if (!(folder.weights() instanceof StoredWeights.Saved(Checkpoint checkpoint, _))) {
      Require.that(
          !verify,
          "%s is a released model, which has no manifest to compare files with",
          folder.path());
      folder
          .weights()
          .require(folder.config(), WeightTypes.of(DType.BFLOAT16), Long.MAX_VALUE, true);
      return of(folder.path(), null, folder.config(), null);
    }
    if (verify) {
      checkpoint.verify();
    }
    TrainConfig training =
        checkpoint.config().has(RunConfig.TRAINING) ? RunConfig.trainingOf(checkpoint) : null;
    return of(checkpoint.directory(), checkpoint.step(), folder.config(), training);
  }

  private static ModelTable of(Path source, Long step, ModelConfig config, TrainConfig training) {
    try (LanguageModel model = new LanguageModel(config)) {
      return new ModelTable(
          source,
          step,
          config,
          training,
          ParameterCounts.of(model),
          null,
          model.cost(Work.decode(1, config.context() - 1, dtype(training))));
    }
  }

  /** With the memory of training adapters, by the settings of train --lora. */
  ModelTable adapting(AdapterConfig wanted) {
    TrainConfig settings = Presets.training(config.context()).withDType(DType.FLOAT32);
    return new ModelTable(source, step, config, settings, parameters, wanted, token);
  }

  private MemoryForecast training(Quantization option) {
    ModelFolder folder = ModelFolder.open(source);
    DType matrices = Quantization.of(option, folder).matrices();
    AdaptedBase base = AdaptedBase.of(folder, matrices);
    return MemoryForecast.of(
        new RunConfig(config, training, 1).adapting(adapters, base), Topology.ONE);
  }

  /** The dtype of training; BFLOAT16 without training settings. */
  DType dtype() {
    return dtype(training);
  }

  private static DType dtype(TrainConfig training) {
    return training == null ? DType.BFLOAT16 : training.dtype();
  }

  /**
   * Predicted memory by kind: of training; of generation for a released model or with {@code
   * quantize}.
   *
   * @param quantize may be null
   */
  private MemoryParts memory(Quantization quantize) {
    return adapters != null
        ? training(quantize)
        : writes(quantize) ? writing(quantize) : MemoryForecast.of(config, training, Topology.ONE);
  }

  /** The memory of generation or of training, as a table. */
  String memoryText(Quantization quantize) {
    String dtype =
        adapters == null && writes(quantize) ? " " + dtype().name().toLowerCase(Locale.ROOT) : "";
    return memory(quantize).toText("memory" + dtype);
  }

  private boolean writes(Quantization quantize) {
    return training == null || quantize != null;
  }

  private InferenceMemory writing(Quantization option) {
    if (option != null) {
      return InferenceMemory.of(config, option.types(dtype(), () -> ModelFolder.open(source)));
    }
    ModelFolder folder = ModelFolder.open(source);
    Quantization quantize = Quantization.of(null, folder);
    return InferenceMemory.of(config, quantize.types(dtype(), () -> folder));
  }

  private String head() {
    Integer labels = config.head().labels();
    return labels != null
        ? labels == 0 ? ", no head" : ", head of " + Count.of(labels, "label")
        : config.head().tied() ? "" : ", untied head";
  }

  String toText() {
    StringBuilder text = new StringBuilder();
    if (step == null) {
      line(text, "%-11s %s", kind(), source);
    } else {
      line(text, "checkpoint  %s (step %,d)", source, step);
    }
    line(
        text,
        "model       %s of width %d, context %d, vocabulary %d%s%s",
        Count.of(config.layers(), "layer"),
        config.hidden(),
        config.context(),
        config.vocabulary(),
        positions(),
        head());
    if (config.encoder() != null) {
      line(text, "encoder     %s", Count.of(config.encoder().blocks().size(), "layer"));
      layers(text, config.encoder().blocks(), parameters.encoderLayers());
      line(text, "decoder     every layer also attends to the encoded text");
    }
    layers(text, config.blocks(), parameters.layers());
    line(text, "");
    line(text, "%-12s %16s %8s", "part", "parameters", "share");
    parameters
        .parts()
        .forEach((part, count) -> row(text, part.name().toLowerCase(Locale.ROOT), count));
    line(text, "%-12s %,16d", "total", parameters.total());
    row(text, "per token", parameters.activated());
    line(text, "");
    line(
        text,
        "%,.0f FLOPs and %,.1f MiB read to generate a token, at the end of the context in %s",
        token.flops(),
        token.bytesRead() / (1 << 20),
        dtype().name().toLowerCase(Locale.ROOT));
    return text.toString();
  }

  private String positions() {
    EmbeddingConfig.Relative relative = config.embedding().relative();
    return (config.embedding().positions() == Positions.LEARNED ? ", learned positions" : "")
        + (relative == null
            ? ""
            : Words.of(
                ", relative positions in %s buckets up to %s",
                relative.buckets(), relative.distance()));
  }

  private String kind() {
    return step != null ? "checkpoint" : training == null ? "released" : "config";
  }

  /** Equal layers share a line. */
  private static void layers(StringBuilder text, List<BlockConfig> blocks, List<Long> parameters) {
    List<String> lines =
        IntStream.range(0, blocks.size())
            .mapToObj(layer -> block(blocks.get(layer), parameters.get(layer)))
            .toList();
    int from = 0;
    for (int layer = 1; layer <= lines.size(); layer++) {
      if (layer == lines.size() || !lines.get(layer).equals(lines.get(from))) {
        String range = from == layer - 1 ? " " + from : "s " + from + " to " + (layer - 1) + ":";
        line(text, "layer%-7s %s", range, lines.get(from));
        from = layer;
      }
    }
  }

  private static String block(BlockConfig block, long parameters) {
    return Words.of("%s: %,d parameters", BlockLine.of(block), parameters);
  }

  private void row(StringBuilder text, String part, long count) {
    line(text, "%-12s %,16d %7.1f%%", part, count, 100.0 * count / parameters.total());
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(Words.of(format, values)).append(System.lineSeparator());
  }

  ObjectNode toJson(boolean withMemory, Quantization quantize) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put(kind(), source.toString());
    if (step != null) {
      json.put("step", step);
    }
    ArrayNode experts = json.putArray("experts");
    config.experts().forEach(experts::add);
    ArrayNode byLayer = json.putArray("parameters_by_layer");
    parameters.layers().forEach(byLayer::add);
    if (config.encoder() != null) {
      ArrayNode encoder = json.putArray("parameters_by_encoder_layer");
      parameters.encoderLayers().forEach(encoder::add);
    }
    ObjectNode parts = json.putObject("parameters");
    parameters
        .parts()
        .forEach((part, count) -> parts.put(part.name().toLowerCase(Locale.ROOT), count));
    json.put("total", parameters.total());
    json.put("activated", parameters.activated());
    json.put("flops_per_token", token.flops());
    json.put("bytes_per_decoded_token", token.bytes());
    if (withMemory) {
      json.set("memory", memory(quantize).toJson());
    }
    return json;
  }
}
