package panamoe.model.family;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;

/**
 * A family of released models: reads its configuration, and maps stored tensors to weights. To add
 * one, write it and add it to {@link #ALL}. Immutable.
 */
public interface Family {
  /** The families that are known. */
  List<Family> ALL =
      List.of(
          new Mixtral(),
          new Qwen2Moe(),
          new Qwen3Moe(),
          new Olmoe(),
          new GptOss(),
          new DeepSeekV2(),
          new DeepSeekV3(),
          new Switch(),
          new Dots1(),
          new Glm4Moe(),
          new Glm4MoeLite(),
          new Ernie45Moe(),
          new HunYuanMoe(),
          new MiniMaxM2(),
          new Llama(),
          new MistralFamily(),
          new Qwen2(),
          new Qwen3(),
          new Olmo2(),
          new Olmo3(),
          new Phi3(),
          new SmolLm3(),
          new Gemma2(),
          new Gemma3(),
          new Gemma4(),
          new Granite(),
          new GraniteMoe(false),
          new GraniteMoe(true),
          new PhiMoe(),
          new Llama4());

  /** Its name in {@code config.json}: {@code model_type}. */
  String type();

  /**
   * The model that a configuration describes.
   *
   * @throws panamoe.checkpoint.CheckpointException if a value is missing or not supported
   * @throws IllegalArgumentException if a size is out of range
   */
  ModelConfig model(Keys keys);

  /** The stored tensors of each weight's rows. */
  Recipes recipes();

  /** The family of that name. */
  static Optional<Family> named(String type) {
    return ALL.stream().filter(family -> family.type().equals(type)).findFirst();
  }

  /**
   * Refuses a model that is an encoder alone.
   *
   * @param key that names its kind in the file
   * @throws CheckpointException with its name
   */
  static void refuseEncoder(Path file, String key, String type) {
    if (type.contains("bert") || type.equals("mpnet")) {
      throw new CheckpointException(
          "%s: %s is %s, an encoder, expected a decoder, such as Qwen3-Embedding", file, key, type);
    }
  }

  /** The first family that has such a model; settings for training are not compared. */
  static Optional<Family> of(ModelConfig config) {
    return ALL.stream().filter(family -> ConfigKeys.of(family, config).isPresent()).findFirst();
  }
}
