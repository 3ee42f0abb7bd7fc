package panamoe.model.family;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model in the keys and tensors of a family, for a file that {@link ReleasedModel} reads.
 * Immutable.
 */
public final class ExportedModel {
  /** Families whose class in transformers is not spelt like their {@code model_type}. */
  private static final Map<String, String> OTHERWISE_SPELT =
      Map.of(
          "ernie4_5_moe", "Ernie4_5_Moe",
          "gemma3_text", "Gemma3",
          "gemma4_text", "Gemma4",
          "granitemoe", "GraniteMoe",
          "granitemoeshared", "GraniteMoeShared",
          "hunyuan_v1_moe", "HunYuanMoEV1",
          "llama4_text", "Llama4",
          "minimax_m2", "MiniMaxM2",
          "smollm3", "SmolLM3");

  private final Family family;
  private final ModelConfig config;
  private final ObjectNode keys;
  private final Map<String, RowSource> weights;

  private ExportedModel(
      Family family, ModelConfig config, ObjectNode keys, Map<String, RowSource> weights) {
    this.family = family;
    this.config = config;
    this.keys = keys;
    this.weights = weights;
  }

  /**
   * @param name of the model, for messages
   * @param weights the rows of every weight
   * @param published the keys of the publisher's {@code config.json}; empty if the model has no
   *     such file
   * @param type the first family to try without them: that of a GGUF file; may be null
   * @throws CheckpointException if no family has such a model, or it has no logits of tokens
   */
  public static ExportedModel of(
      String name,
      ModelConfig config,
      Map<String, RowSource> weights,
      Optional<ObjectNode> published,
      String type) {
    if (config.head().labels() != null) {
      throw new CheckpointException(
          "%s has no head for the next token, and only a model that has one is exported", name);
    }
    if (published.isPresent()) {
      Family family = Family.named(published.get().path("model_type").asString()).orElseThrow();
      return new ExportedModel(family, config, published.get().deepCopy(), weights);
    }
    List<Family> families = new ArrayList<>(Family.ALL);
    families.sort(Comparator.comparing(family -> !family.type().equals(type)));
    for (Family family : families) {
      Optional<ObjectNode> keys = ConfigKeys.of(family, config);
      if (keys.isPresent()) {
        return new ExportedModel(family, config, keys.get(), weights);
      }
    }
    throw new CheckpointException(
        "%s is not a model of a family that transformers computes: %s; it stays in Panamoe's own"
            + " layout, and train --arch mixtral makes a model that leaves",
        name, UnsupportedParts.of(config));
  }

  /** The name of its family: {@code model_type}. */
  public String type() {
    return family.type();
  }

  /**
   * The keys of its {@code config.json}.
   *
   * @param stored the type of most weights: F32 or BF16
   */
  public ObjectNode config(StoredType stored) {
    ObjectNode whole = keys.deepCopy();
    whole.remove("quantization_config"); // blocks are decoded
    if (!whole.has("architectures")) {
      whole.putArray("architectures").add(architecture());
    }
    whole.remove("dtype");
    return whole.put("torch_dtype", stored == StoredType.BF16 ? "bfloat16" : "float32");
  }

  /** Its class in transformers: {@code Qwen3MoeForCausalLM} of {@code qwen3_moe}. */
  private String architecture() {
    String purpose = config.encoder() == null ? "ForCausalLM" : "ForConditionalGeneration";
    return className(family) + purpose;
  }

  /** The beginning of the names of a family's classes in transformers. */
  static String className(Family family) {
    String words =
        Arrays.stream(family.type().split("_"))
            .map(word -> Character.toUpperCase(word.charAt(0)) + word.substring(1))
            .collect(Collectors.joining());
    return OTHERWISE_SPELT.getOrDefault(family.type(), words);
  }

  /** The files of adapters of this model. */
  public AdapterFiles adapters() {
    return new AdapterFiles(family, config);
  }

  /** Its tensors in a Hugging Face folder. */
  public Map<String, RowTensor> tensors() {
    return family.recipes().tensors(config, weights, false);
  }

  /**
   * Adds its keys and tensors to a GGUF file.
   *
   * @param type of matrices whose rows are whole blocks; null: unchanged
   * @return the tensors whose rows were in blocks that they are not written in, because a tensor
   *     has one format; none if a type is given
   * @throws CheckpointException if llama.cpp's architecture does not compute such a model
   */
  public List<String> addTo(GgufWriter writer, StoredType type) {
    String architecture = architectureOfGguf();
    if (family.type().equals("deepseek_v2") && grouped()) {
      throw new CheckpointException(
          "llama.cpp chooses groups of experts by their best two, and DeepSeek-V2 by the best one:"
              + " it would compute another model");
    }
    if (family instanceof PhiMoe) {
      throw new CheckpointException(
          "llama.cpp has RMS norms and softmax weights for phimoe, and this model has LayerNorm and"
              + " SparseMixer: it would compute another model");
    }
    Map<String, RowTensor> tensors = ggufTensors();
    MetadataKeys.put(family, RopeFactors.divided(architecture, config, tensors), tensors, writer);
    List<String> changed = new ArrayList<>();
    tensors.forEach(
        (name, tensor) -> {
          EncodedRows encoded = MetadataKeys.encoded(name, tensor, type);
          writer.add(name, encoded);
          if (type == null && encoded.changesBlocks()) {
            changed.add(name);
          }
        });
    return changed;
  }

  /**
   * Its tensors in a GGUF file.
   *
   * @throws CheckpointException if its family has no such files
   */
  public Map<String, RowTensor> ggufTensors() {
    return GgufRecipes.of(architectureOfGguf(), config).tensors(config, weights, false);
  }

  private String architectureOfGguf() {
    return architectureOfGguf(family);
  }

  /** Its architecture in GGUF files. */
  static String architectureOfGguf(Family family) {
    return GgufKeys.architecture(family)
        .orElseThrow(
            () ->
                new CheckpointException(
                    "GGUF files of " + family.type() + " are not written here"));
  }

  private boolean grouped() {
    return config.blocks().stream()
        .anyMatch(
            block ->
                block.feedForward() instanceof MoeConfig moe && moe.gate().choice().groups() > 1);
  }

  /**
   * The tensors of a Hugging Face folder.
   *
   * @param type F32 or BF16; null: unchanged
   */
  public static Map<String, EncodedRows> encoded(Map<String, RowTensor> tensors, StoredType type) {
    Map<String, EncodedRows> encoded = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) ->
            encoded.put(
                name, type == null ? EncodedRows.asRead(tensor) : new EncodedRows(tensor, type)));
    return encoded;
  }
}
