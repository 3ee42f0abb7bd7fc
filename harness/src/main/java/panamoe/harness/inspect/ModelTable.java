package panamoe.harness.inspect;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import panamoe.checkpoint.Checkpoint;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.engine.ModelFolder;
import panamoe.io.Count;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.train.MemoryForecast;
import panamoe.train.TrainConfig;

/**
 * A model's sizes.
 *
 * @param parameters number of parameters by part
 * @param activated number of parameters that one token uses
 */
record ModelTable(
    Checkpoint checkpoint,
    ModelConfig config,
    TrainConfig training,
    Map<Parameter.Part, Long> parameters,
    long activated) {

  /**
   * @param verify whether to compare the checksum of every file with the manifest
   */
  static ModelTable of(Path path, boolean verify) {
    return ModelFolder.read(path, folder -> of(folder, verify));
  }

  private static ModelTable of(ModelFolder folder, boolean verify) {
    Checkpoint checkpoint = folder.checkpoint();
    if (verify) {
      checkpoint.verify();
    }
    TrainConfig training = ModelFolder.part(checkpoint, "training", TrainConfig.class);
    try (LanguageModel model = new LanguageModel(folder.config())) {
      return new ModelTable(
          checkpoint,
          folder.config(),
          training,
          model.parameters().countByPart(),
          activated(model, folder.config()));
    }
  }

  long total() {
    return parameters.values().stream().mapToLong(count -> count).sum();
  }

  MemoryForecast memory() {
    return MemoryForecast.of(config, training, Topology.ONE);
  }

  /** All parameters except unused experts'. */
  private static long activated(LanguageModel model, ModelConfig config) {
    long activated = model.parameters().count();
    for (int layer = 0; layer < config.layers(); layer++) {
      if (config.blocks().get(layer).feedForward() instanceof MoeConfig moe) {
        String prefix = "layers." + layer + ".";
        for (Parameter parameter : model.parameters().parameters()) {
          if (parameter.part() == Parameter.Part.EXPERT && parameter.name().startsWith(prefix)) {
            long expert = parameter.count() / moe.experts();
            activated -= expert * (moe.experts() - moe.gate().topK());
          }
        }
      }
    }
    return activated;
  }

  String toText() {
    StringBuilder text = new StringBuilder();
    line(text, "checkpoint  %s (step %,d)", checkpoint.directory(), checkpoint.step());
    line(
        text,
        "model       %s of width %d, context %d, vocabulary %d",
        Count.of(config.layers(), "layer"),
        config.hidden(),
        config.context(),
        config.vocabulary());
    // Layers that are alike share a line.
    int from = 0;
    for (int layer = 1; layer <= config.layers(); layer++) {
      String block = describe(config.blocks().get(from));
      if (layer == config.layers() || !block.equals(describe(config.blocks().get(layer)))) {
        String layers = from == layer - 1 ? "" + from : from + " to " + (layer - 1);
        line(text, "layer%-7s %s", from == layer - 1 ? " " + layers : "s " + layers, block);
        from = layer;
      }
    }
    line(text, "");
    line(text, "%-12s %16s %8s", "part", "parameters", "share");
    parameters.forEach((part, count) -> row(text, part.name().toLowerCase(Locale.ROOT), count));
    line(text, "%-12s %,16d", "total", total());
    row(text, "per token", activated);
    return text.toString();
  }

  private static String describe(BlockConfig block) {
    AttentionConfig.Heads heads = block.attention().heads();
    String attention =
        String.format(
            Locale.ROOT,
            "%s of %d (%d key/value)",
            Count.of(heads.query(), "head"),
            heads.size(),
            heads.keyValue());
    return switch (block.feedForward()) {
      case DenseConfig dense -> String.format(Locale.ROOT, "%s, MLP %d", attention, dense.inner());
      case MoeConfig moe ->
          String.format(
              Locale.ROOT,
              "%s, %s of %d, top-%d, %s%s",
              attention,
              Count.of(moe.experts(), "expert"),
              moe.inner(),
              moe.gate().topK(),
              moe.gate().capacity().policy().name().toLowerCase(Locale.ROOT),
              beside(moe));
    };
  }

  private static String beside(MoeConfig moe) {
    if (moe.residual() != null) {
      return ", beside a fixed MLP " + moe.residual().inner();
    }
    return moe.shared() == null ? "" : ", beside a shared expert of " + moe.shared().inner();
  }

  private void row(StringBuilder text, String part, long count) {
    line(text, "%-12s %,16d %7.1f%%", part, count, 100.0 * count / total());
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format + "%n", values));
  }

  ObjectNode toJson(boolean withMemory) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("checkpoint", checkpoint.directory().toString());
    json.put("step", checkpoint.step());
    ArrayNode experts = json.putArray("experts");
    config.experts().forEach(experts::add);
    ObjectNode parts = json.putObject("parameters");
    parameters.forEach((part, count) -> parts.put(part.name().toLowerCase(Locale.ROOT), count));
    json.put("total", total());
    json.put("activated", activated);
    if (withMemory) {
      json.set("memory", memory().toJson());
    }
    return json;
  }
}
