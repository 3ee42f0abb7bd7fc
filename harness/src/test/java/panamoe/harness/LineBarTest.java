package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class LineBarTest {
  private static final int NEVER = 1_000_000_000; // the first frame and the last are drawn

  @Test
  void framesHaveOneWidth() {
    String figures =
        "step 119999/120000  loss 12.500  bits/byte 13.125  1,234,568 tokens/s  0:00:00 left";
    assertEquals(figures.substring(0, 79), LineBar.frame("", 0.9, figures, 79));
    assertEquals(
        "[====================                    ] step 1  loss 2.5" + " ".repeat(20),
        LineBar.frame("", 0.5, "step 1  loss 2.5", 79));
    assertEquals("writing /a/long/f  50 %", LineBar.frame("writing /a/long/folder", 0.5, "", 23));
  }

  @Test
  void theLastFrameStaysOrNothing() {
    for (boolean erased : new boolean[] {false, true}) {
      Screen screen = new Screen();
      try (LineBar bar = new LineBar(screen.stream(), "loading", 0, 10, NEVER, erased)) {
        bar.stepTo(8, "eight");
        bar.stepTo(7, "seven"); // another thread's, late
      }
      String last = "loading [" + "=".repeat(32) + " ".repeat(8) + "] seven";
      assertEquals(erased ? List.of("") : List.of(last, ""), screen.lines());
    }
  }
}
