package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backends;

class DecodeTimingTest {
  @Test
  void everyModelIsTimedAtEveryBatch() {
    DecodeTiming timing = new DecodeTiming(() -> Backends.open("cpu", 1));
    double[][] seconds =
        timing.secondsPerStep(List.of(Shapes.dense(8), Shapes.moe(8, 4)), new int[] {1, 8, 64});
    assertEquals(2, seconds.length);
    for (double[] ofModel : seconds) {
      assertEquals(3, ofModel.length);
      for (double each : ofModel) {
        assertTrue(each > 0 && each < 60, "seconds: " + each);
      }
    }
  }
}
