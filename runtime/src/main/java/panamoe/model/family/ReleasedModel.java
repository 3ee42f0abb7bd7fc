package panamoe.model.family;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.Fingerprint;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.config.GateConfig;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;
import panamoe.io.Words;
import tools.jackson.databind.node.ObjectNode;

/**
 * A released model, in a folder of Hugging Face or in GGUF: its configuration, and the rows of its
 * weights. Immutable.
 */
public final class ReleasedModel {
  private final Path path;
  private final Supplier<TensorFiles> files;
  private final TextPart text;
  private final ModelConfig config;
  private final Recipes recipes;
  private final QuantizedTensors quantized;

  /**
   * @param path the folder, or the first file of GGUF
   * @param text the keys of its configuration, and which tensors are its own
   */
  private ReleasedModel(
      Path path,
      Supplier<TensorFiles> files,
      TextPart text,
      ModelConfig config,
      Recipes recipes,
      QuantizedTensors quantized) {
    this.path = path;
    this.files = files;
    this.text = text;
    this.config = config;
    this.recipes = recipes;
    this.quantized = quantized;
  }

  /**
   * Reads a model's configuration, no weights.
   *
   * @throws CheckpointException if its family, or a key or value of its configuration, is unknown
   */
  public static ReleasedModel of(HuggingFaceFolder folder) {
    TextPart text = TextPart.of(folder.configFile(), folder.config());
    Family family = family(folder, text);
    Keys keys = new Keys(folder.configFile(), text.within(), text.values());
    try {
      ModelConfig config = family.model(keys);
      Recipes recipes = family.recipes();
      Optional<Integer> labels = labels(folder, keys, config.head().tied());
      if (labels.isPresent()) {
        config = config.with(HeadConfig.ofLabels(labels.get()));
        recipes.put("head.weight", Recipe.tensor("score.weight"));
      }
      QuantizedTensors quantized = QuantizedTensors.of(keys.object("quantization_config"));
      keys.requireAllRead();
      return new ReleasedModel(folder.path(), folder::open, text, config, recipes, quantized);
    } catch (IllegalArgumentException e) {
      throw keys.bad(e);
    }
  }

  private static Family family(HuggingFaceFolder folder, TextPart text) {
    String type = text.values().path("model_type").asString("");
    Keys keys = new Keys(folder.configFile(), folder.config());
    Supplier<CheckpointException> unknown =
        () -> {
          String known = Family.ALL.stream().map(Family::type).collect(Collectors.joining(", "));
          String whole = String.join(", ", TextPart.FAMILIES.keySet());
          return keys.bad("model_type", type, "one of " + known + ", " + whole);
        };
    Family.refuseEncoder(folder.configFile(), "model_type", type);
    Family family = Family.named(type).orElseThrow(unknown);
    if (text.within().isEmpty() && text.values().path(TextPart.CONFIG).isObject()) {
      String whole = String.join(", ", TextPart.FAMILIES.keySet());
      throw keys.bad("model_type", type, "one of " + whole + ", as there is a " + TextPart.CONFIG);
    }
    String declared = folder.config().path("architectures").path(0).asString("");
    for (Family other : Family.ALL) {
      if (other != family && declared.startsWith(ExportedModel.className(other) + "For")) {
        throw keys.bad("model_type", type, other.type() + ", the family of " + declared);
      }
    }
    return family;
  }

  /**
   * The labels of a classifier; 0 for a model that is stored without a head, as far as its weights
   * are there.
   */
  private static Optional<Integer> labels(HuggingFaceFolder folder, Keys keys, boolean tied) {
    String declared = folder.config().path("architectures").path(0).asString("");
    if (declared.endsWith("ForSequenceClassification")) {
      keys.ignore("id2label", "label2id", "problem_type");
      int named = folder.config().path("id2label").size();
      return Optional.of(keys.count("num_labels", named == 0 ? 2 : named));
    }
    boolean embeds = Files.exists(folder.path().resolve("modules.json"));
    if (tied || !declared.endsWith("Model") && !embeds || !folder.hasWeights()) {
      return Optional.empty();
    }
    try (TensorFiles files = folder.open()) {
      return files.tensors().containsKey("lm_head.weight") ? Optional.empty() : Optional.of(0);
    }
  }

  /** A model in GGUF. */
  public static ReleasedModel of(GgufFile file) {
    Path path = file.metadata().path();
    ObjectNode values = GgufKeys.of(file);
    Keys keys = new Keys(path, values);
    try {
      ModelConfig config = Family.named(keys.text("model_type", "")).orElseThrow().model(keys);
      keys.requireAllRead();
      Recipes recipes = GgufRecipes.of(GgufKeys.architecture(file.metadata()), config);
      StoredTensor labels = file.tensors().get("cls.output.weight");
      if (labels != null) {
        config = config.with(HeadConfig.ofLabels((int) labels.shape()[0]));
        recipes.put("head.weight", Recipe.tensor("cls.output.weight"));
      }
      return new ReleasedModel(
          path, file::again, new TextPart(values, ""), config, recipes, new GgufFactors());
    } catch (IllegalArgumentException e) { // its keys are not those of config.json
      throw new CheckpointException(path + ": " + e.getMessage(), e);
    }
  }

  /**
   * Refuses an architecture of GGUF files that is unknown.
   *
   * @param source of the architecture, for messages
   */
  public static void requireArchitecture(String architecture, String source) {
    GgufKeys.requireArchitecture(architecture, source);
  }

  /** The folder, or the first file of GGUF. */
  public Path path() {
    return path;
  }

  /** Its family: {@code model_type}. */
  public String type() {
    return text.values().path("model_type").asString("");
  }

  public ModelConfig config() {
    return config;
  }

  /** The text model's keys of {@code config.json}; empty for a GGUF file. */
  public Optional<ObjectNode> publishedConfig() {
    return path.toString().endsWith(".gguf")
        ? Optional.empty()
        : Optional.of(text.values().deepCopy());
  }

  /**
   * The model for fine-tuning: with transformers' auxiliary loss across layers if {@code
   * output_router_logits} is true, otherwise without.
   *
   * @throws CheckpointException if a value of these keys is wrong
   */
  public ModelConfig trained() {
    Keys keys = new Keys(path, text.values());
    double weight =
        keys.flag("output_router_logits", false) ? keys.number("router_aux_loss_coef", 0) : 0;
    if (weight < 0) {
      throw keys.bad("router_aux_loss_coef", "" + weight, "0 or more");
    }
    return balanced(weight);
  }

  /** The model with transformers' auxiliary loss across layers; weight 0: without. */
  public ModelConfig balanced(double weight) {
    // transformers does not divide by the number of choices.
    return weight == 0
        ? config
        : config.withGates(
            gate ->
                gate.withLoss(
                    new GateConfig.Loss(true, weight * gate.topK(), 0, null, null, true)));
  }

  /** Opens the files of the weights, which the caller closes. */
  public TensorFiles open() {
    return files.get();
  }

  /** Identifies the model, in hexadecimal digits. */
  public String fingerprint() {
    try (TensorFiles opened = open()) {
      return Fingerprint.of(text.values(), opened);
    }
  }

  /** Notes on the files for the user, a sentence each. */
  public List<String> notes(TensorFiles files) {
    Map<String, StoredTensor> own = text.tensors(files.tensors());
    return Stream.of(
            leftOut(files.tensors().size() - own.size(), "encoders of images and sounds"),
            leftOut(
                recipes.leftOut(config, own.keySet()).size(),
                "layers behind the last, which predict tokens further on,"))
        .flatMap(Optional::stream)
        .toList();
  }

  private Optional<String> leftOut(int tensors, String what) {
    return tensors == 0
        ? Optional.empty()
        : Optional.of(Words.of("%s: %s tensors of %s are left out", path, tensors, what));
  }

  /**
   * The rows of every weight.
   *
   * @param files from {@link #open}
   * @throws CheckpointException with up to 20 tensors that are missing, too many or of another
   *     shape than the configuration asks for
   */
  public Map<String, RowSource> sources(TensorFiles files) {
    try {
      return recipes.of(config, new Lookup.Files(files, text.tensors(files.tensors()), quantized));
    } catch (CheckpointException e) {
      throw new CheckpointException(path + ": " + e.getMessage(), e);
    }
  }
}
