package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** The bar of what takes long: none at first, then one that says its task. */
class PartBarTest {
  @Test
  void whatIsShortShowsNothing() {
    assertEquals("", shown(0));
  }

  @Test
  void whatTakesLongShowsItsPart() {
    String shown = shown(600);
    assertTrue(shown.contains("loading"), shown);
    assertTrue(shown.contains("75%"), shown);
  }

  private static String shown(long millis) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        PartBar bar = PartBar.on(out, "loading")) {
      bar.accept(0.5);
      if (millis > 0) {
        Thread.sleep(millis);
      }
      bar.accept(0.75);
      bar.accept(0.7); // another thread's, late
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
