package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
    assertTrue(texts.stopped());
    assertEquals("ab", texts.text());
    assertEquals(List.of("ab"), pieces);
  }

  @Test
  void passesOnWhatWasOnlyTheBeginningOfOne() {
    StopStrings texts = feed(List.of("END"), "EN", "EN");
    assertFalse(texts.stopped());
    assertEquals("EN", texts.text());
    texts.finish();
    assertEquals("ENEN", texts.text());
  }

  @Test
  void takesTheEarliestOfSeveral() {
    assertEquals("x", feed(List.of("zz", "y"), "xyzz").text());
  }
}
