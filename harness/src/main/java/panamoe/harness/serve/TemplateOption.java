package panamoe.harness.serve;

import java.nio.file.Path;
import java.util.Optional;
import panamoe.data.template.ChatTemplate;
import panamoe.engine.ModelFolder;
import picocli.CommandLine.Option;

/** The option of a chat template: {@code @Mixin TemplateOption template}. */
public final class TemplateOption {
  @Option(
      names = "--chat-template",
      paramLabel = "FILE",
      description =
          "The template of conversations, in Jinja. Default: the model's own, if it has one (docs/chat-templates.md).")
  private Path file;

  /**
   * How the model's conversations become prompts.
   *
   * @throws panamoe.data.DataException if there is a template that cannot be used
   */
  public ChatPrompt prompt(ModelFolder folder) {
    Optional<ChatTemplate> template =
        file == null ? folder.chatTemplate() : Optional.of(ChatTemplate.read(file, folder.home()));
    return template
        .map(present -> ChatPrompt.of(present, folder.tokenizer()))
        .orElseGet(() -> ChatPrompt.lines(folder.tokenizer()));
  }
}
