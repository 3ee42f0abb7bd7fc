package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;

class DistillationConfigTest {
  @ParameterizedTest
  @CsvSource({
    "STOP, 0.5, 0, 2", "STOP, 0.5, 49, 2", "STOP, 0.5, 50, 0", "STOP, 1, 99, 2",
    "LINEAR, 0.5, 0, 2", "LINEAR, 0.5, 25, 1", "LINEAR, 0.5, 50, 0", "LINEAR, 1, 75, 0.5",
    "COSINE, 0.5, 0, 2", "COSINE, 0.5, 25, 1", "COSINE, 0.6, 20, 1.5", "COSINE, 0.5, 99, 0"
  })
  void alphaFalls(Fall fall, double until, long step, double expected) {
    DistillationConfig config = new DistillationConfig(2, 1, new Stage(fall, until), null);
    assertEquals(expected, config.alpha(step, 100), 1e-12);
  }

  @Test
  void theDefaultIsThePapersRecipe() {
    DistillationConfig staged = DistillationConfig.staged(List.of(0, 2));
    assertEquals(1, staged.temperature());
    assertTrue(staged.alpha(69, 100) == 1 && staged.alpha(70, 100) == 0);
  }

  @Test
  void refusesLayersThatDoNotAscend() {
    Stage stage = new Stage(Fall.STOP, 1);
    for (List<Integer> layers :
        List.of(List.of(1, 1), List.of(2, 0), List.of(-1), List.<Integer>of())) {
      assertThrows(
          IllegalArgumentException.class, () -> new DistillationConfig(1, 1, stage, layers));
    }
    assertThrows(
        IllegalArgumentException.class, () -> new DistillationConfig(Double.NaN, 1, stage, null));
  }
}
