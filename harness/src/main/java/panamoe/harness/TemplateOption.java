package panamoe.harness;

import java.nio.file.Path;
import panamoe.conversation.ChatFormat;
import panamoe.open.FolderChat;
import panamoe.open.ModelFolder;
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
   * The model's chat format. Warns if a released model has no template.
   *
   * @return lines for a model without a template
   * @throws panamoe.io.DataException if the template cannot be used
   */
  public ChatFormat format(ModelFolder folder) {
    return folder.config().encoder() == null
        ? FolderChat.of(folder, file, this::warn)
        : ChatFormat.lines(folder.tokenizer());
  }

  private void warn(String what) {
    spec.commandLine()
        .getErr()
        .println("warning: " + what + ", and --chat-template FILE names another form");
  }
}
