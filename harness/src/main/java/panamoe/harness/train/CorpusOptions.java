package panamoe.harness.train;

import java.nio.file.Path;
import panamoe.harness.SharedOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options that name a run's text. */
final class CorpusOptions {
  @Mixin private TextSource source;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Tokens of panamoe data prepare, instead of --text, --languages, --tokenizer and --vocabulary.")
  private Path data;

  /** Refuses options that name several texts. */
  void requireOne(SharedOptions shared) {
    source.requireOne(shared);
    shared.require(
        data == null || !source.isNamed(),
        "--data holds the tokens of a text and does not go with --text and --languages");
  }

  /** The text that the options name; null: none. */
  TrainingText named(SharedOptions shared) {
    if (data != null) {
      return TrainingText.prepared(data);
    }
    return source.isNamed() ? source.read(shared) : null;
  }

  /** The folder of prepared tokens to train on; null: a text. */
  Path data() {
    return data;
  }
}
