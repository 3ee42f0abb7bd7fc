package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class StopStringsTest {
  private final List<String> pieces = new ArrayList<>();

  private StopStrings feed(List<String> stops, String... input) {
    StopStrings texts = new StopStrings(stops, pieces::add);
    for (String piece : input) {
      texts.append(piece);
    }
    return texts;
  }

  @Test
  void endsBeforeTheStopTextHoweverItIsCut() {
    StopStrings texts = feed(List.of("END"), "abE", "N", "Dcd");
    assertEquals("END", texts.found());
    assertEquals("ab", texts.text());
    assertEquals(List.of("ab"), pieces);
  }

  @Test
  void passesOnWhatWasOnlyTheBeginningOfOne() {
    StopStrings texts = feed(List.of("END"), "EN", "EN");
    assertNull(texts.found());
    assertEquals("EN", texts.text());
    texts.finish();
    assertEquals("ENEN", texts.text());
  }

  @Test
  void takesTheEarliestOfSeveral() {
    StopStrings texts = feed(List.of("zz", "y"), "xyzz");
    assertEquals("x", texts.text());
    assertEquals("y", texts.found());
  }
}
