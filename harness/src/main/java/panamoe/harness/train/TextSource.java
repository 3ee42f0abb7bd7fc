package panamoe.harness.train;

import java.nio.file.Path;
import java.util.Set;
import panamoe.harness.SharedOptions;
import picocli.CommandLine.Option;

/** The options for a text or a part of the default corpus: {@code @Mixin TextSource source}. */
public final class TextSource {
  @Option(names = "--text", paramLabel = "PATH", description = "A UTF-8 file, or a folder of them.")
  private Path text;

  @Option(
      names = "--languages",
      paramLabel = "CODE",
      split = ",",
      description = "Languages of the default corpus to keep, such as en,de,fr. Default: all 21.")
  private Set<String> languages = Set.of();

  /** Refuses options that name both. */
  public void requireOne(SharedOptions shared) {
    shared.require(
        text == null || languages.isEmpty(),
        "--languages chooses from the default corpus and does not go with --text");
  }

  boolean isNamed() {
    return text != null || !languages.isEmpty();
  }

  /** The text; the whole default corpus if the options name none. */
  public TrainingText read(SharedOptions shared) {
    return text == null
        ? shared.checked(() -> TrainingText.europarl(languages))
        : TrainingText.read(text);
  }
}
