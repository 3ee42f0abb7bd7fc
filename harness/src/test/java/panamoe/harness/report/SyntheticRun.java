package panamoe.harness.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.TrainingProcess;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Writes the folder of a made-up run with known numbers. */
final class SyntheticRun {
  static final int STEPS = 300;
  static final List<String> LANGUAGES = List.of("da", "de", "el", "en", "fr", "sv");
  static final String WRITTEN = "<script>alert('x')</script> & so \u0001weiter";
  private static final JsonMapper JSON = JsonMapper.shared();

  private SyntheticRun() {}

  static RunConfig config() {
    ModelConfig model =
        ModelPresets.of(ModelPresets.Size.TINY, ModelPresets.Architecture.PR_MOE, 256);
    return new RunConfig(model, TrainConfig.of(STEPS, 4, Math.min(64, model.context())), 1);
  }

  static Path write(Path folder) throws IOException {
    RunConfig config = config();
    Files.writeString(folder.resolve("config.json"), config.toJson());
    Random random = new Random(1);
    List<String> lines = new ArrayList<>();
    for (int step = 1; step <= STEPS; step++) {
      lines.add(step(config, step, random).toString());
    }
    Files.write(folder.resolve("metrics.jsonl"), lines);
    JSON.writeValue(folder.resolve("routing.json").toFile(), routing(config.model()));
    Files.writeString(
        folder.resolve("samples.json"),
        RoutedText.toJson(
            List.of(
                new RoutedText(
                    "de", "Herr Präsident, ", WRITTEN, routes(config.model(), WRITTEN)))));
    Files.writeString(
        folder.resolve("history.json"),
        JSON.writeValueAsString(
            List.of(process("train --out 'a run'"), process("train --resume"))));
    return folder;
  }

  private static TrainingProcess process(String command) {
    return new TrainingProcess(
        "2026-01-02T03:04:05Z",
        "panamoe " + command,
        "1.0, commit abc",
        "A processor, 2 threads",
        "cpu",
        1,
        "some <text>");
  }

  /** Each character of a text, sent to experts in turn. */
  static TokenRoutes routes(ModelConfig model, String text) {
    List<String> pieces = text.codePoints().mapToObj(Character::toString).toList();
    List<TokenRoutes.Layer> layers = new ArrayList<>();
    for (int layer = 0; layer < model.layers(); layer++) {
      int experts = model.experts().get(layer);
      if (experts > 0) {
        int[][] expert = new int[pieces.size()][];
        Arrays.setAll(expert, token -> new int[] {token % experts, (token + 1) % experts});
        float[][] weight = new float[pieces.size()][];
        Arrays.fill(weight, new float[] {0.5f, 0.25f});
        layers.add(new TokenRoutes.Layer(layer, experts, 1, expert, weight));
      }
    }
    return new TokenRoutes(pieces, Collections.nCopies(pieces.size(), 1), layers);
  }

  private static ObjectNode step(RunConfig config, int step, Random random) {
    double loss = 1 + 4.5 * Math.exp(-step / 60.0) + 0.05 * random.nextGaussian();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("step", step)
        .put("tokens", step * 256L)
        .put("loss", loss)
        .put("bits_per_byte", loss / Math.log(2));
    json.put("aux_loss", 1.01).put("z_loss", 2.0).put("grad_norm", 0.9);
    json.put("learning_rate", config.training().learningRate(step - 1)).put("tokens_per_s", 1000);
    if (step % 50 == 0) {
      json.put(
          "validation_bits_per_byte", step == STEPS ? 1.625 : 1.7 + 3 * Math.exp(-step / 60.0));
    }
    ArrayNode layers = json.putArray("layers");
    for (int layer = 0; layer < config.model().layers(); layer++) {
      int experts = config.model().experts().get(layer);
      if (experts > 0) {
        ObjectNode node = layers.addObject();
        node.put("layer", layer).put("experts", experts).put("load_p50", 31).put("load_p95", 47.5);
        node.put("load_max", 63)
            .put("drop_rate", 0.0125)
            .put("dead_experts", 0)
            .put("router_entropy", 1.234);
        ArrayNode counts = node.putArray("counts");
        for (int expert = 0; expert < experts; expert++) {
          double early = 1 + 3 * Math.exp(-step / 40.0) * Math.sin(expert * 2.1 + layer);
          counts.add(Math.max(0, Math.round(256.0 / experts * early + 3 * random.nextGaussian())));
        }
      }
    }
    return json;
  }

  /** Every language spreads evenly, except that Greek sends 90 % of its tokens to expert 1. */
  private static Routing routing(ModelConfig model) {
    List<Routing.RoutedLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < model.layers(); layer++) {
      int experts = model.experts().get(layer);
      if (experts > 0) {
        long[][] tokens = new long[LANGUAGES.size()][experts];
        for (int language = 0; language < tokens.length; language++) {
          boolean greek = LANGUAGES.get(language).equals("el");
          for (int expert = 0; expert < experts; expert++) {
            tokens[language][expert] = !greek ? 1000 : expert == 1 ? 900L * (experts - 1) : 100;
          }
        }
        layers.add(new Routing.RoutedLayer(layer, experts, tokens));
      }
    }
    return new Routing(LANGUAGES, layers);
  }
}
