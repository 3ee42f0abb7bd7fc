package panamoe.harness.generate;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.data.Utf8;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Require;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options for the prompt: {@code @Mixin PromptOptions prompt}. */
@OptionGroup("Generation")
final class PromptOptions {
  /** More than any context holds. */
  private static final int MOST_BYTES = 1 << 26;

  private static final Path STANDARD_INPUT = Path.of("-");

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = {"-p", "--prompt"},
      paramLabel = "TEXT",
      description = "The prompt. Default: a new document.")
  private String prompt;

  @Option(
      names = {"-f", "--prompt-file"},
      paramLabel = "FILE",
      description =
          "The prompt in a UTF-8 file, without the line break at its end; - is the standard input.")
  private Path file;

  /**
   * The prompt; empty for a new document.
   *
   * @throws ParameterException if it is given twice
   * @throws panamoe.io.DataException if the file is not UTF-8
   * @throws IllegalArgumentException if it is too long
   */
  String text() throws IOException {
    if (file == null) {
      return prompt == null ? "" : prompt;
    }
    if (prompt != null) {
      throw new ParameterException(
          command.commandLine(), "--prompt and --prompt-file are two prompts; give one");
    }
    boolean standard = file.equals(STANDARD_INPUT);
    Path name = standard ? Path.of("the standard input") : file;
    Require.that(!Files.isDirectory(file), "%s is a folder, expected a file with the prompt", file);
    try (InputStream input = standard ? System.in : Files.newInputStream(file)) {
      byte[] bytes = input.readNBytes(MOST_BYTES + 1);
      if (bytes.length > MOST_BYTES) {
        throw new IllegalArgumentException(
            name + " has more than " + MOST_BYTES + " bytes, which is no prompt");
      }
      Utf8.requireText(name, 0, bytes);
      return new String(bytes, StandardCharsets.UTF_8).replaceFirst("\r?\n\\z", "");
    }
  }
}
