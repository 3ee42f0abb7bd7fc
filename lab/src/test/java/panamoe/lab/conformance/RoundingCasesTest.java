package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.lab.conformance.replay.CaseResult;

/** Tests that only numbers that rounding decides have a larger tolerance. */
class RoundingCasesTest {
  @TempDir private Path folder;

  @Test
  void aRowWhoseExpertsRoundingMayChangeIsLeftOutWithARemark() throws Exception {
    CopiedCase file = CopiedCase.of(folder, "gguf/gptoss_c_yarn_q8_0.safetensors");
    CaseResult result = file.replayed("cpu");
    assertTrue(result.passed(), result.line());
    assertEquals(
        List.of("row 27 is not compared beside int8 activations: router gap 0.073 in layer 0"),
        result.notes());
    file.changeSettings(settings -> settings.put("logits_vs_logits_f32_rms", 0));
    List<String> closely = file.replayed("cpu").failures();
    assertEquals(1, closely.size(), closely.toString());
    file.add("router_logits.1", 0, 100); // the first row is compared as before
    assertEquals(closely, file.replayed("cpu").failures());
    for (int expert = 0; expert < 6; expert++) {
      file.add("router_logits.1", expert, 1e9f); // equal logits: now it is not compared
    }
    assertNotEquals(closely, file.replayed("cpu").failures());
  }

  @Test
  void weightsWithAGradientNearEpsilonMayMoveOtherwise() throws Exception {
    CopiedCase file = CopiedCase.of(folder, "hf_train/olmoe_train/golden.safetensors");
    String weight = "final.model.layers.0.self_attn.q_norm.weight";
    file.add(weight, 14, 0.003f); // its first gradient is below 100 eps
    CaseResult result = file.replayed("cpu");
    assertTrue(result.passed(), result.line());
    assertEquals(1, result.notes().size(), result.line());
    file.add(weight, 14, 1);
    assertTrue(file.replayed("cpu").line().contains(weight + "[14] is "));
    file.add(weight, 14, -1);
    file.add(weight, 13, 0.003f);
    assertTrue(file.replayed("cpu").line().contains(weight + "[13] is "));
  }
}
