package panamoe.harness.train;

import java.nio.file.Path;
import panamoe.data.Corpus;
import panamoe.harness.corpus.EuroparlCorpus;

/**
 * What a model is trained on.
 *
 * @param source in words, to print
 * @param multilingual whether it is worth asking which experts each language uses
 */
record Text(Corpus corpus, String source, boolean multilingual) {
  static Text europarl() {
    return new Text(
        Corpus.of(EuroparlCorpus.documents()),
        EuroparlCorpus.SOURCE + " (" + EuroparlCorpus.LICENCE + ")",
        true);
  }

  static Text read(Path path) {
    return new Text(Corpus.read(path), path.toString(), false);
  }
}
