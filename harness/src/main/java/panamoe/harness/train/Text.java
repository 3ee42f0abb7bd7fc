package panamoe.harness.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import panamoe.data.Corpus;
import panamoe.harness.corpus.EuroparlCorpus;
import panamoe.harness.corpus.LanguageLabels;

/**
 * What a model is trained on.
 *
 * @param path where it was read; null for the default corpus
 * @param languages of the default corpus that were kept; empty for all
 */
record Text(Corpus corpus, Path path, Set<String> languages) {
  /**
   * The default corpus.
   *
   * @param languages ISO 639-1 codes of those to keep; empty keeps all and spares telling them
   *     apart (ten seconds)
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

  /** In words, to print. */
  String source() {
    return path == null
        ? EuroparlCorpus.SOURCE + " (" + EuroparlCorpus.LICENCE + ")"
        : path.toString();
  }

  /** Whether it is worth asking which experts each language uses. */
  boolean multilingual() {
    return path == null && languages.size() != 1;
  }
}
