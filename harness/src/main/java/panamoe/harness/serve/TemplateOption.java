package panamoe.harness.serve;

import java.nio.file.Path;
import java.util.Optional;
import panamoe.conversation.template.ChatTemplate;
import panamoe.open.FallbackTemplate;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The option of a chat template: {@code @Mixin TemplateOption template}. */
public final class TemplateOption {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--chat-template",
      paramLabel = "FILE",
      description =
          "The template of conversations, in Jinja. Default: the model's own, else that of its family (docs/chat-templates.md).")
  private Path file;

  /**
   * How the model's conversations become prompts. Says so if its makers did not tell.
   *
   * @throws panamoe.data.DataException if there is a template that cannot be used
   */
  public ChatPrompt prompt(ModelFolder folder) {
    if (folder.config().encoder() != null) {
      return ChatPrompt.none(folder.tokenizer());
    }
    TokenizerFiles files = folder.tokenizerFiles();
    Optional<ChatTemplate> own =
        file == null ? files.chatTemplate() : Optional.of(files.chatTemplate(file));
    Optional<ChatTemplate> template = own.or(() -> FallbackTemplate.of(folder));
    if (own.isEmpty() && files.released()) {
      spec.commandLine()
          .getErr()
          .println(
              "warning: "
                  + folder.path()
                  + " has no chat template; its messages are written "
                  + (template.isPresent() ? "as its family's usually are" : "as lines of text")
                  + ", and --chat-template FILE names another form");
    }
    return template
        .map(present -> ChatPrompt.of(present, folder.tokenizer()))
        .orElseGet(() -> ChatPrompt.lines(folder.tokenizer()));
  }
}
