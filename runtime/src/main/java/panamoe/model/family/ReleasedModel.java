package panamoe.model.family;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.Fingerprint;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.config.GateConfig;
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
  private final ObjectNode values;
  private final ModelConfig config;
  private final Recipes recipes;
  private final int[] scaleBlock;

  /**
   * @param path the folder, or the first file of GGUF
   * @param values of its configuration
   */
  private ReleasedModel(
      Path path,
      Supplier<TensorFiles> files,
      ObjectNode values,
      ModelConfig config,
      Recipes recipes,
      int[] scaleBlock) {
    this.path = path;
    this.files = files;
    this.values = values;
    this.config = config;
    this.recipes = recipes;
    this.scaleBlock = scaleBlock;
  }

  /**
   * Reads a model's configuration, no weights.
   *
   * @throws CheckpointException if its family, or a key or value of its configuration, is unknown
   */
  public static ReleasedModel of(HuggingFaceFolder folder) {
    Family family = family(folder);
    Keys keys = new Keys(folder.configFile(), folder.config());
    try {
      ModelConfig config = family.model(keys);
      int[] scaleBlock = scaleBlock(keys.object("quantization_config"));
      keys.requireAllRead();
      return new ReleasedModel(
          folder.path(), folder::open, folder.config(), config, family.recipes(), scaleBlock);
    } catch (IllegalArgumentException e) {
      throw keys.bad(e);
    }
  }

  private static Family family(HuggingFaceFolder folder) {
    String type = folder.config().path("model_type").asString("");
    Keys keys = new Keys(folder.configFile(), folder.config());
    Supplier<CheckpointException> unknown =
        () -> {
          String known = Family.ALL.stream().map(Family::type).collect(Collectors.joining(", "));
          return keys.bad("model_type", type, "one of " + known);
        };
    Family family = Family.named(type).orElseThrow(unknown);
    String declared = folder.config().path("architectures").path(0).asString("");
    for (Family other : Family.ALL) {
      if (other != family && declared.startsWith(ExportedModel.className(other) + "For")) {
        throw keys.bad("model_type", type, other.type() + ", the family of " + declared);
      }
    }
    return family;
  }

  /** A model in GGUF. */
  public static ReleasedModel of(GgufFile file) {
    Path path = file.metadata().path();
    ObjectNode values = GgufKeys.of(file);
    Keys keys = new Keys(path, values);
    try {
      ModelConfig config = Family.named(keys.text("model_type", "")).orElseThrow().model(keys);
      keys.requireAllRead();
      return new ReleasedModel(
          path,
          file::again,
          values,
          config,
          GgufRecipes.of(GgufKeys.architecture(file.metadata()), config),
          null);
    } catch (IllegalArgumentException e) { // its keys are not those of config.json
      throw new CheckpointException(path + ": " + e.getMessage(), e);
    }
  }

  /** Rows and columns of a block that shares a scale; null without scales. */
  private static int[] scaleBlock(Keys quantization) {
    if (quantization == null) {
      return null;
    }
    // Not needed for weights: how activations are quantised, and how scales were rounded.
    quantization.ignore("modules_to_not_convert", "activation_scheme", "scale_fmt");
    String method = quantization.text("quant_method", "none");
    if (method.equals("mxfp4")) { // blocks in pairs of tensors, with their scales
      return null;
    }
    if (!method.equals("fp8")) {
      throw quantization.bad("quant_method", method, "fp8 or mxfp4");
    }
    if (!quantization.text("fmt", "e4m3").equals("float8_e4m3fn")) { // MiniMax-M2's name for it
      quantization.require("fmt", "e4m3");
    }
    List<Integer> block = quantization.numbers("weight_block_size");
    if (block.size() != 2 || block.contains(0)) {
      throw quantization.bad("weight_block_size", block.toString(), "two numbers from 1");
    }
    return new int[] {block.get(0), block.get(1)};
  }

  /** The folder, or the first file of GGUF. */
  public Path path() {
    return path;
  }

  /** Its family: {@code model_type}. */
  public String type() {
    return values.path("model_type").asString("");
  }

  public ModelConfig config() {
    return config;
  }

  /** The keys of {@code config.json}; empty for a GGUF file. */
  public Optional<ObjectNode> publishedConfig() {
    return path.toString().endsWith(".gguf") ? Optional.empty() : Optional.of(values.deepCopy());
  }

  /**
   * The model for fine-tuning: with transformers' auxiliary loss across layers if {@code
   * output_router_logits} is true, otherwise without.
   *
   * @throws CheckpointException if a value of these keys is wrong
   */
  public ModelConfig trained() {
    Keys keys = new Keys(path, values);
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
      return Fingerprint.of(values, opened);
    }
  }

  /** Notes on the files for the user, a sentence each. */
  public List<String> notes(TensorFiles files) {
    int leftOut = recipes.leftOut(config, files.tensors().keySet()).size();
    return leftOut == 0
        ? List.of()
        : List.of(
            Words.of(
                "%s: %s tensors of layers behind the last, which predict tokens further on, are left out",
                path, leftOut));
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
      return recipes.of(config, new Lookup.Files(files, files.tensors(), scaleBlock));
    } catch (CheckpointException e) {
      throw new CheckpointException(path + ": " + e.getMessage(), e);
    }
  }
}
