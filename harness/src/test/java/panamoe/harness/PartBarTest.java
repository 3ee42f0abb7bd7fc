package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * The bar of what takes long: none at first, then one that says its task, and nothing at the end.
 */
class PartBarTest {
  @Test
  void whatIsShortShowsNothing() throws InterruptedException {
    assertEquals("", shown("loading", 0).written());
  }

  @Test
  void whatTakesLongShowsItsPart() throws InterruptedException {
    Screen screen = shown("loading", 600);
    assertTrue(screen.seen("loading [==============================          ]  75 %"));
    assertEquals(List.of(""), screen.lines());
  }

  @Test
  void aLongTaskKeepsItsLine() throws InterruptedException {
    Screen screen = shown("writing " + "/a/long/folder".repeat(10), 600);
    assertTrue(screen.seen("  75 %"));
    assertEquals(List.of(""), screen.lines());
  }

  @Test
  void aLoadShowsBytesAndTheTimeLeft() throws InterruptedException {
    Screen screen = shown("loading", 600, 3L << 30);
    String seen = screen.written();
    assertTrue(
        Pattern.compile("loading \\[=+ +] {2}75 %, 2\\.3 GiB of 3\\.0 GiB, \\d+ s left")
            .matcher(seen)
            .find(),
        seen);
    assertEquals(List.of(""), screen.lines());
  }

  private static Screen shown(String task, long millis) throws InterruptedException {
    return shown(task, millis, 0);
  }

  private static Screen shown(String task, long millis, long bytes) throws InterruptedException {
    Screen screen = new Screen();
    try (PartBar bar = PartBar.on(screen.stream(), task, bytes)) {
      bar.accept(0.5);
      if (millis > 0) {
        Thread.sleep(millis);
      }
      bar.accept(0.75);
      bar.accept(0.7); // another thread's, late
    }
    return screen;
  }
}
