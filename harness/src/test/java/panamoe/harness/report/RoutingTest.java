package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.harness.report.Routing.Preference;
import panamoe.harness.report.Routing.RoutedLayer;

class RoutingTest {
  @Test
  void aPreferenceIsMeasuredAgainstTheShareOfTheText() {
    // Expert 0 takes 60 German and 20 English tokens of 100 and 100; expert 2 too few to speak of.
    RoutedLayer layer = new RoutedLayer(3, 3, new long[][] {{60, 39, 1}, {20, 80, 0}});
    Routing routing = new Routing(List.of("de", "en"), List.of(layer));
    List<Preference> preferences = routing.preferences(layer);
    assertEquals(List.of(0, 1), preferences.stream().map(Preference::expert).toList());
    assertEquals(new Preference(0, "de", 0.75, 1.5), preferences.getFirst());
    assertEquals("en", preferences.getLast().language());
    assertEquals(80.0 / 119 / 0.5, preferences.getLast().lift(), 1e-12);
  }

  @Test
  void refusesATableOfAnotherShape() {
    RoutedLayer layer = new RoutedLayer(3, 3, new long[][] {{1, 2, 3}});
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> new Routing(List.of("de", "en"), List.of(layer)))
            .getMessage();
    assertEquals("layer 3: tokens must be 2 languages x 3 experts", message);
  }
}
