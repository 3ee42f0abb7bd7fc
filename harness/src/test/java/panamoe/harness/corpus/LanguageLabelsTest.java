package panamoe.harness.corpus;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LanguageLabelsTest {
  private static final LanguageLabels LABELS = new LanguageLabels();

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "bg | Доброто ефективно управление е важно за всички граждани на Европа.",
        "de | Ich freue mich sehr, dass wir heute über den Haushalt sprechen können.",
        "el | Θα ήθελα να ευχαριστήσω την Επιτροπή για την απάντηση που μας έδωσε.",
        "en | I would like to thank the Commission for the answer that it has given us.",
        "et | Väga oluline on, et meie külalised ja kodanikud näeksid, kuidas me töötame.",
        "fr | Je voudrais remercier la Commission pour la réponse qu'elle nous a donnée.",
        "hu | Szeretném megköszönni a Bizottságnak a választ, amelyet nekünk adott.",
        "sv | Jag vill tacka kommissionen för det svar som den har gett oss i dag.",
        "unknown | 12 34 56",
        "unknown | ''",
      })
  void tellsLanguagesApart(String label, String text) {
    assertEquals(label, LABELS.label(text));
  }

  @Test
  void keepsTheLanguagesAskedFor() {
    String german = "Das ist ein sehr guter Vorschlag, dem wir zustimmen werden.";
    String english = "This is a very good proposal, which we are going to support.";
    String french = "C'est une très bonne proposition, que nous allons soutenir.";
    assertEquals(
        List.of(german, french), LABELS.keep(List.of(german, english, french), Set.of("de", "fr")));
  }

  @Test
  void namesTheLanguagesOfTheCorpus() {
    assertEquals(21, LanguageLabels.codes().size());
    assertTrue(
        LanguageLabels.codes().containsAll(Set.of("bg", "el", "en", "sl")),
        LanguageLabels.codes().toString());
  }
}
