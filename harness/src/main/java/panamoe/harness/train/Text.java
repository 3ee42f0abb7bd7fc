package panamoe.harness.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import panamoe.data.Corpus;
import panamoe.engine.ModelFolder;
import panamoe.harness.corpus.EuroparlCorpus;
import panamoe.harness.corpus.LanguageLabels;
import panamoe.io.ConfigJson;

/**
 * The training text.
 *
 * @param path of its source; null for the default corpus
 * @param languages kept of the default corpus; empty for all
 */
public record Text(Corpus corpus, Path path, Set<String> languages) {
  /**
   * The default corpus.
   *
   * @param languages ISO 639-1 codes to keep; empty keeps all and saves the ten seconds of language
   *     detection
   * @throws IllegalArgumentException if the corpus has no such language
   */
  static Text europarl(Set<String> languages) {
    for (String language : languages) {
      if (!LanguageLabels.codes().contains(language)) {
        throw new IllegalArgumentException(
            "the default corpus has no language '"
                + language
                + "', expected some of "
                + LanguageLabels.codes());
      }
    }
    List<String> documents = EuroparlCorpus.documents();
    List<String> kept =
        languages.isEmpty() ? documents : new LanguageLabels().keep(documents, languages);
    return new Text(Corpus.of(kept), null, languages);
  }

  /**
   * The text that a model was trained on, by the {@code text.json} of its run; empty if there is
   * none.
   *
   * @throws IllegalArgumentException if the text is no longer there
   */
  public static Optional<Text> of(ModelFolder model) {
    Path checkpoint = model.checkpoint().directory().toAbsolutePath().normalize();
    Path run = checkpoint.getParent().getParent();
    return run == null || Files.notExists(run.resolve(RunFolder.TEXT))
        ? Optional.empty()
        : Optional.of(ConfigJson.read(run.resolve(RunFolder.TEXT), TextRecord.class).read());
  }

  public static Text read(Path path) {
    return new Text(Corpus.read(path), path, Set.of());
  }

  /** A description, to print. */
  public String source() {
    return path == null
        ? EuroparlCorpus.SOURCE + " (" + EuroparlCorpus.LICENCE + ")"
        : path.toString();
  }

  /** Whether the text has several known languages, so that a report by language makes sense. */
  boolean multilingual() {
    return path == null && languages.size() != 1;
  }
}
