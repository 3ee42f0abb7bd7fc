package panamoe.harness.train;

import java.nio.file.Path;
import java.util.Set;
import panamoe.harness.SharedOptions;
import panamoe.harness.help.OptionGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options that name a run's text. */
final class CorpusOptions implements OptionGroup {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(names = "--text", paramLabel = "PATH", description = "A UTF-8 file, or a folder of them.")
  private Path text;

  @Option(
      names = "--languages",
      paramLabel = "CODE",
      split = ",",
      description = "Languages of the default corpus to keep, such as en,de,fr.")
  private Set<String> languages = Set.of();

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Tokens of panamoe data prepare, instead of --text, --languages, --tokenizer and --vocabulary.")
  private Path data;

  /** Refuses options that name more than one text. */
  void requireOne(SharedOptions shared) {
    shared.checked(() -> Text.requireOneSource(text, languages));
    if (data != null && (text != null || !languages.isEmpty())) {
      throw new ParameterException(
          spec.commandLine(),
          "--data holds the tokens of a text and does not go with --text and --languages");
    }
  }

  /** The text that the options name; null if they name none. */
  Text named(SharedOptions shared) {
    if (data != null) {
      return Text.prepared(data);
    }
    if (text != null) {
      return Text.read(text);
    }
    return languages.isEmpty() ? null : shared.checked(() -> Text.europarl(languages));
  }

  /** The folder of tokens to train on; null for a text. */
  Path data() {
    return data;
  }

  @Override
  public String heading() {
    return "Text";
  }
}
