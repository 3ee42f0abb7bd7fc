package panamoe.harness.inspect;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import panamoe.checkpoint.Checkpoint;
import panamoe.generate.ModelFolder;
import panamoe.model.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelConfig;
import panamoe.nn.Parameter;
import panamoe.train.MemoryForecast;
import panamoe.train.TrainConfig;

/**
 * A model in numbers.
 *
 * @param parameters by part
 * @param activated parameters that one token meets
 */
record ModelTable(
    Checkpoint checkpoint, ModelConfig config, TrainConfig training, Map<Parameter.Part, Long> parameters, long activated) {

  static ModelTable of(Path path) {
    ModelFolder folder = ModelFolder.open(path);
    Checkpoint checkpoint = folder.checkpoint();
    TrainConfig training =
        ConfigJson.read(
            checkpoint.config().path("training"),
            TrainConfig.class,
            checkpoint.directory() + "/config.json, training");
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
    return MemoryForecast.of(config, training);
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
    text.append("checkpoint  %s (step %,d)%n".formatted(checkpoint.directory(), checkpoint.step()));
    text.append(
        "model       %d layers of width %d, %d heads (%d key/value), MLP %d, context %d, vocabulary %d%n"
            .formatted(
                config.layers(),
                config.hidden(),
                config.heads(),
                config.keyValueHeads(),
                config.feedForward(),
                config.context(),
                config.vocabulary()));
    text.append("experts     %s%s%n".formatted(config.experts(), config.residual() ? ", each beside a fixed MLP" : ""));
    if (config.gate() != null) {
      text.append(
          "gate        top-%d, %s%n"
              .formatted(config.gate().topK(), config.gate().dropPolicy().name().toLowerCase(Locale.ROOT)));
    }
    text.append("%n%-12s %16s %8s%n".formatted("part", "parameters", "share"));
    parameters.forEach(
        (part, count) ->
            text.append(
                "%-12s %,16d %7.1f%%%n"
                    .formatted(part.name().toLowerCase(Locale.ROOT), count, 100.0 * count / total())));
    text.append("%-12s %,16d%n".formatted("total", total()));
    text.append("%-12s %,16d %7.1f%%%n".formatted("per token", activated, 100.0 * activated / total()));
    return text.toString();
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
