package panamoe.model.family;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.rows.RowSource;
import panamoe.config.ModelConfig;

/** A released model: what its folder says, and the rows of its weights. Immutable. */
public final class ReleasedModel {
  private final HuggingFaceFolder folder;
  private final Family family;
  private final ModelConfig config;
  private final int[] scaleBlock;

  private ReleasedModel(
      HuggingFaceFolder folder, Family family, ModelConfig config, int[] scaleBlock) {
    this.folder = folder;
    this.family = family;
    this.config = config;
    this.scaleBlock = scaleBlock;
  }

  /**
   * Reads a model's configuration, no weights.
   *
   * @throws CheckpointException if its family is not known, or its configuration has a key or value
   *     that is not
   */
  public static ReleasedModel of(HuggingFaceFolder folder) {
    String type = folder.config().path("model_type").asText();
    Family family =
        Family.named(type)
            .orElseThrow(
                () ->
                    new CheckpointException(
                        folder.configFile()
                            + ": model_type is "
                            + type
                            + ", expected one of "
                            + Family.ALL.stream()
                                .map(Family::type)
                                .collect(Collectors.joining(", "))));
    Keys keys = new Keys(folder.configFile(), folder.config());
    try {
      ModelConfig config = family.model(keys);
      int[] scaleBlock = scaleBlock(keys.object("quantization_config"));
      keys.requireAllRead();
      return new ReleasedModel(folder, family, config, scaleBlock);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(folder.configFile() + ": " + e.getMessage(), e);
    }
  }

  /** Rows and columns of a block that shares a scale; null where weights have no scales. */
  private static int[] scaleBlock(Keys quantization) {
    if (quantization == null) {
      return null;
    }
    quantization.ignore("modules_to_not_convert", "activation_scheme");
    String method = quantization.text("quant_method", "none");
    return switch (method) {
      case "mxfp4" -> null;
      case "fp8" -> {
        quantization.require("fmt", "e4m3");
        List<Integer> block = quantization.numbers("weight_block_size");
        if (block.size() != 2 || block.contains(0)) {
          throw quantization.bad("weight_block_size", block.toString(), "two numbers from 1");
        }
        yield new int[] {block.get(0), block.get(1)};
      }
      default -> throw quantization.bad("quant_method", method, "fp8 or mxfp4");
    };
  }

  public HuggingFaceFolder folder() {
    return folder;
  }

  public ModelConfig config() {
    return config;
  }

  /** Its family's {@code model_type}. */
  public String type() {
    return family.type();
  }

  /** The keys of {@code generation_config.json}; empty if there is no such file. */
  public Optional<Keys> generation() {
    return folder.generation().map(values -> new Keys(folder.generationFile(), values));
  }

  /** What a user should know of the files, in a sentence each. */
  public List<String> notes(TensorFiles files) {
    int leftOut = family.recipes().leftOut(config, files.tensors().keySet()).size();
    return leftOut == 0
        ? List.of()
        : List.of(
            folder.path()
                + ": "
                + leftOut
                + " tensors of layers behind the last, which predict tokens further on, are left out");
  }

  /**
   * The rows of every weight.
   *
   * @param files of the folder
   * @throws CheckpointException with up to 20 tensors that are missing, too many or of another
   *     shape than the configuration asks for
   */
  public Map<String, RowSource> sources(TensorFiles files) {
    try {
      return family.recipes().of(config, new Lookup.Files(files, files.tensors(), scaleBlock));
    } catch (CheckpointException e) {
      throw new CheckpointException(folder.path() + ": " + e.getMessage(), e);
    }
  }
}
