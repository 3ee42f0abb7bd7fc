package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.harness.report.Routing.RoutedLayer;

class RoutingTest {
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
