package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.harness.CommandRun;
import panamoe.tensor.DType;

/** {@code --experts} changes a preset as its help describes. */
class PresetsTest {
  @ParameterizedTest
  @EnumSource
  void theLastThirdOfAPyramidHasTwiceAsMany(Size size) {
    Presets.Chosen six = new Presets.Chosen(1, null, null, null, 6, null, null);
    List<Integer> experts =
        Presets.run(size, Architecture.PR_MOE, six, DType.FLOAT32, false, 257, 1)
            .model()
            .experts()
            .stream()
            .filter(count -> count > 0)
            .toList();
    int doubled = Math.max(1, experts.size() / 3);
    for (int i = 0; i < experts.size(); i++) {
      assertEquals(i < experts.size() - doubled ? 6 : 12, experts.get(i), experts.toString());
    }
    String help = CommandRun.of("train", "--help").out().replaceAll("\\s+", " ");
    assertTrue(
        help.contains(
            "In pyramid and pr-moe the last third of these layers, at least one, has twice as many"),
        help);
  }
}
