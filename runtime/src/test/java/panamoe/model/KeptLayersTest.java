package panamoe.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;

class KeptLayersTest {
  /** The paper's 350M PR-MoE and its student: experts 32 x 10, 64 x 2 become 32 x 8, 64 x 2. */
  @Test
  void theDefaultIsTheStudentOfThePaper() {
    ModelConfig teacher = ModelPresets.paper(1024, 24, 16, 32, 2, true);
    ModelConfig student = KeptLayers.of(21, teacher).config(teacher);
    List<Integer> experts = student.experts().stream().filter(count -> count > 0).toList();
    assertEquals(21, student.layers());
    assertEquals(List.of(32, 32, 32, 32, 32, 32, 32, 32, 64, 64), experts);
    assertEquals(List.of(0, 4, 5), KeptLayers.of(21, teacher).layers().subList(0, 3));
    assertEquals(List.of(23), KeptLayers.of(1, teacher).layers());
    assertEquals(24, KeptLayers.of(24, teacher).layers().size());
  }

  @Test
  void aTensorComesFromTheKeptLayer() {
    KeptLayers kept = new KeptLayers(List.of(0, 3, 11));
    assertEquals("layers.11.attention.q", kept.source("layers.2.attention.q"));
    assertEquals("layers.0.norm", kept.source("layers.0.norm"));
    assertEquals("final_norm.weight", kept.source("final_norm.weight"));
  }

  @Test
  void refusesAShapeThatTheTeacherDoesNotHave() {
    ModelConfig teacher = ModelPresets.paper(64, 4, 2, 4, 1, true);
    ModelConfig dense = ModelPresets.paper(64, 2, 2, 0, 0, false);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> KeptLayers.of(2, teacher).requireFits(dense, teacher));
    assertTrue(refused.getMessage().contains("cannot start from"), refused.getMessage());
  }
}
