package panamoe.harness;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import panamoe.harness.help.ManualPage;
import panamoe.io.SafeFolder;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panamoe manual}. */
@Command(
    name = "manual",
    mixinStandardHelpOptions = true,
    description = "Writes a manual page of each command, for man.",
    footer = {
      "",
      "Examples:",
      "  panamoe manual ~/.local/share/man   then: man panamoe-train",
      "",
      "They go into DIR/man1, in place of earlier ones."
    })
public final class ManualCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "DIR", description = "A folder of manual pages, made if it is missing.")
  private Path folder;

  @Override
  public Integer call() throws IOException {
    SafeFolder pages = new SafeFolder(folder.resolve("man1"));
    pages.make();
    write(spec.root().commandLine(), pages);
    return 0;
  }

  private static void write(CommandLine command, SafeFolder folder) throws IOException {
    CommandSpec spec = command.getCommandSpec();
    String page = ManualPage.of(spec, "Panamoe " + Version.built(), Version.date());
    folder.replace(ManualPage.name(spec) + ".1", page.getBytes(StandardCharsets.UTF_8));
    for (CommandLine inner : command.getSubcommands().values()) {
      if (!(inner.getCommand() instanceof HelpCommand)) {
        write(inner, folder);
      }
    }
  }
}
