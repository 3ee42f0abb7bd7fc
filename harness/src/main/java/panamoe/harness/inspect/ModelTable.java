package panamoe.harness.inspect;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import panamoe.checkpoint.Checkpoint;
import panamoe.engine.ModelFolder;
import panamoe.io.Count;
import panamoe.model.LanguageModel;
import panamoe.model.ModelConfig;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.train.MemoryForecast;
import panamoe.train.TrainConfig;

/**
 * A model in numbers.
 *
 * @param parameters by part
 * @param activated parameters that one token meets
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

  /** All parameters, less the experts that a token does not visit. */
  private static long activated(LanguageModel model, ModelConfig config) {
    long activated = 0;
    for (Parameter parameter : model.parameters().parameters()) {
      long count = parameter.count();
      if (parameter.part() == Parameter.Part.EXPERT) {
        count = count / parameter.shape()[0] * config.gate().topK();
      }
      activated += count;
    }
    return activated;
  }

  String toText() {
    StringBuilder text = new StringBuilder();
    line(text, "checkpoint  %s (step %,d)", checkpoint.directory(), checkpoint.step());
    line(
        text,
        "model       %s of width %d, %s (%d key/value), MLP %d, context %d, vocabulary %d",
        Count.of(config.layers(), "layer"),
        config.hidden(),
        Count.of(config.heads(), "head"),
        config.keyValueHeads(),
        config.feedForward(),
        config.context(),
        config.vocabulary());
    line(
        text,
        "experts     %s%s",
        config.experts(),
        config.residual() ? ", each beside a fixed MLP" : "");
    if (config.gate() != null) {
      String policy = config.gate().dropPolicy().name().toLowerCase(Locale.ROOT);
      line(text, "gate        top-%d, %s", config.gate().topK(), policy);
    }
    line(text, "");
    line(text, "%-12s %16s %8s", "part", "parameters", "share");
    parameters.forEach((part, count) -> row(text, part.name().toLowerCase(Locale.ROOT), count));
    line(text, "%-12s %,16d", "total", total());
    row(text, "per token", activated);
    return text.toString();
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
