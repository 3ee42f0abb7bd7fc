package panamoe.harness.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import panamoe.data.Corpus;
import panamoe.harness.corpus.EuroparlCorpus;
import panamoe.harness.corpus.LanguageLabels;

/**
 * The training text.
 *
 * @param path of its source; null for the default corpus
 * @param languages kept of the default corpus; empty for all
 */
record Text(Corpus corpus, Path path, Set<String> languages) {
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

  static Text read(Path path) {
    return new Text(Corpus.read(path), path, Set.of());
  }

  /** A description, to print. */
  String source() {
    return path == null
        ? EuroparlCorpus.SOURCE + " (" + EuroparlCorpus.LICENCE + ")"
        : path.toString();
  }

  /** Whether the text has several known languages, so that a report by language makes sense. */
  boolean multilingual() {
    return path == null && languages.size() != 1;
  }
}
