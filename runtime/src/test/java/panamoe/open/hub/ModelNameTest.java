package panamoe.open.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelNameTest {
  @Test
  void aNameHasARepositoryAndPerhapsARevisionAndAVariant() {
    assertEquals(
        new ModelName("Qwen", "Qwen3-0.6B", "main", null), ModelName.parse("hf:Qwen/Qwen3-0.6B"));
    assertEquals(
        new ModelName("Qwen", "Qwen3", "main", "Q4_K_M"), ModelName.parse("hf:Qwen/Qwen3:Q4_K_M"));
    assertEquals(
        new ModelName("a", "b", "refs/pr/1", "Q8_0"), ModelName.parse("hf:a/b@refs/pr/1:Q8_0"));
    assertEquals(
        new ModelName("a", "b", "v1.0", "Q8_0/b.gguf"),
        ModelName.parse("hf://a/b@v1.0:Q8_0/b.gguf"));
    assertEquals("hf:a/b@v1:Q8_0", ModelName.parse("hf:/a/b@v1:Q8_0").toString());
    assertEquals("hf:a/b", ModelName.parse("hf:a/b@main").toString());
  }

  @Test
  void aPathIsNoName() {
    assertEquals(Optional.empty(), ModelName.in("novels"));
    assertEquals(Optional.empty(), ModelName.in("./hf:a/b"));
    assertEquals(Optional.of(ModelName.parse("hf:a/b:F16")), ModelName.in("hf:a/b:F16"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "hf:",
        "hf:a",
        "hf:a/b/c",
        "hf:a/b:",
        "hf:a/b@",
        "hf:../b",
        "hf:a/..",
        "hf:a/.",
        "hf:a--c/b",
        "hf:a/b@../../c",
        "hf:a/b@x/../y",
        "hf:a/b:../c.gguf",
        "hf:a /b",
        "hf:a/b?x",
        "hf:a/b\n"
      })
  void whatCouldLeaveTheCacheIsRefused(String text) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> ModelName.parse(text));
    assertEquals(
        "'"
            + text
            + "' is not the name of a model, expected hf:OWNER/REPO, hf:OWNER/REPO:QUANTISATION, or"
            + " hf:OWNER/REPO@REVISION:QUANTISATION",
        refusal.getMessage());
  }
}
