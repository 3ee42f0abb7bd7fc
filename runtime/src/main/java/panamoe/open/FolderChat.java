package panamoe.open;

import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import panamoe.config.ModelConfig;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.FallbackTemplate;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.Tokenizer;
import panamoe.io.Words;
import panamoe.model.family.Family;
import panamoe.model.family.ReleasedModel;

/** Finds the chat format of a model. */
public final class FolderChat {
  private FolderChat() {}

  /**
   * The format by a template file, else by the model's own template, else by its family's, else
   * lines.
   *
   * @param file null for none
   * @param warnings receives a sentence if a released model has no template
   * @throws IllegalArgumentException if the model has an encoder, and so no conversations
   * @throws panamoe.io.DataException if the template cannot be used
   * @throws panamoe.checkpoint.CheckpointException if the model has no tokenizer
   */
  public static ChatFormat of(ModelFolder folder, Path file, Consumer<String> warnings) {
    if (folder.config().encoder() != null) {
      throw new IllegalArgumentException(
          "the model has an encoder: it takes one prompt, not a conversation; use generate");
    }
    TokenizerFiles files = folder.tokenizerFiles();
    Optional<ChatTemplate> own =
        file == null ? files.chatTemplate() : Optional.of(files.chatTemplate(file));
    Optional<ChatTemplate> template =
        own.or(() -> ofFamily(type(folder.weights(), folder.config()), files, folder.tokenizer()));
    if (own.isEmpty() && files.released()) {
      warnings.accept(
          Words.of(
              "%s has no chat template; its messages are written as %s",
              folder.path(), template.isPresent() ? "its family's usually are" : "lines of text"));
    }
    return format(template, folder.tokenizer());
  }

  /**
   * The format of a model that is trained: by its own template, else by its family's, else lines.
   *
   * @param files of the model
   * @throws panamoe.io.DataException if the template cannot be used
   */
  public static ChatFormat of(TokenizerFiles files, ModelConfig config) {
    Tokenizer tokenizer = files.tokenizer().orElseThrow();
    Optional<String> type = Family.of(config).map(Family::type);
    return format(files.chatTemplate().or(() -> ofFamily(type, files, tokenizer)), tokenizer);
  }

  private static ChatFormat format(Optional<ChatTemplate> template, Tokenizer tokenizer) {
    return template
        .map(present -> ChatFormat.of(present, tokenizer))
        .orElseGet(() -> ChatFormat.lines(tokenizer));
  }

  /** A model trained or quantized from a released one is recognised by its configuration. */
  private static Optional<String> type(StoredWeights weights, ModelConfig config) {
    return switch (weights) {
      case StoredWeights.Released(ReleasedModel model) -> Optional.of(model.type());
      case StoredWeights.Adapted adapted -> type(adapted.base(), config);
      case StoredWeights.Saved _ -> Family.of(config).map(Family::type);
    };
  }

  /** A run that began from scratch has no family. */
  private static Optional<ChatTemplate> ofFamily(
      Optional<String> type, TokenizerFiles files, Tokenizer tokenizer) {
    return files.released()
        ? type.flatMap(known -> FallbackTemplate.of(known, tokenizer))
        : Optional.empty();
  }
}
