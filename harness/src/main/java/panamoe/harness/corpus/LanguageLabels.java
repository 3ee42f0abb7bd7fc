package panamoe.harness.corpus;

import com.github.pemistahl.lingua.api.Language;
import com.github.pemistahl.lingua.api.LanguageDetector;
import com.github.pemistahl.lingua.api.LanguageDetectorBuilder;
import java.util.Collection;
import java.util.Locale;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Tells the 21 languages of the default corpus apart. Sure on a sentence or more; a few words are a guess. Thread-safe.
 */
public final class LanguageLabels {
  /** The label of a text that is in none of the languages, or too short to tell. */
  public static final String UNKNOWN = "unknown";

  // Enough to be sure: on 2000 documents of the corpus the whole text gives the same labels, in four times the time.
  private static final int CHARACTERS_READ = 300;

  // Trigrams alone settle texts of more than a sentence and keep the language models small.
  private final LanguageDetector detector = LanguageDetectorBuilder.fromLanguages(
          Language.BULGARIAN, Language.CZECH, Language.DANISH, Language.GERMAN, Language.GREEK, Language.ENGLISH,
          Language.SPANISH, Language.ESTONIAN, Language.FINNISH, Language.FRENCH, Language.HUNGARIAN, Language.ITALIAN,
          Language.LITHUANIAN, Language.LATVIAN, Language.DUTCH, Language.POLISH, Language.PORTUGUESE,
          Language.ROMANIAN, Language.SLOVAK, Language.SLOVENE, Language.SWEDISH)
      .withLowAccuracyMode()
      .build();

  /** The language of {@code text}, by its beginning, as an ISO 639-1 code such as {@code "de"}, or {@link #UNKNOWN}. */
  public String label(String text) {
    Language language = detector.detectLanguageOf(text.substring(0, Math.min(text.length(), CHARACTERS_READ)));
    return language == Language.UNKNOWN ? UNKNOWN : language.getIsoCode639_1().name().toLowerCase(Locale.ROOT);
  }

  /** How many of the texts are in each language, sorted by label. */
  public SortedMap<String, Integer> count(Collection<String> texts) {
    SortedMap<String, Integer> counts = new TreeMap<>();
    texts.parallelStream().map(this::label).sequential().forEach(label -> counts.merge(label, 1, Integer::sum));
    return counts;
  }
}
