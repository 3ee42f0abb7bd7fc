package panamoe.harness.corpus;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LanguageLabelsTest {
  private static final LanguageLabels LABELS = new LanguageLabels();

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
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
  void counts() {
    List<String> texts = List.of(
        "Das ist ein sehr guter Vorschlag, dem wir zustimmen werden.",
        "This is a very good proposal, which we are going to support.",
        "Das hilft uns nicht weiter, und deshalb stimmen wir dagegen.");
    assertEquals(Map.of("de", 2, "en", 1), LABELS.count(texts));
  }
}
