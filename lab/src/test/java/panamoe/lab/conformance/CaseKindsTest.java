package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import panamoe.lab.conformance.replay.GoldenFile;
import tools.jackson.databind.node.ObjectNode;

/** Tests that a model, block or format of a new name needs only recorded files. */
class CaseKindsTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "hf/olmoe_b_clip/golden.safetensors, hf.AcmeMoeForCausalLM",
    "hf/switch_a/golden.safetensors, hf.AcmeForConditionalGeneration",
    "hf_train/mixtral_train/golden.safetensors, hf.train.AcmeMoeForCausalLM",
    "hf_ops/moe_deepseek_v3_0.safetensors, hf.module.AcmeMoE",
    "hf_ops/moe_gptoss_2.safetensors, hf.module.AcmeMLP",
    "hf_ops/moe_switch_0_cap2.safetensors, hf.module.AcmeSparseMLP",
    "gguf/qwen2moe_b_q5_0.safetensors, gguf.acme",
    "gguf/mixtral_text_f16.safetensors, gguf.text.acme",
    "gguf/quant/q4_k.safetensors, ggml.quantize.ACME"
  })
  void aCaseOfAnyNameIsReplayed(String recorded, String op) throws IOException {
    CopiedCase copy = CopiedCase.of(folder, recorded);
    CaseResult before = copy.replayed("reference");
    assertTrue(before.passed(), before.line());
    copy.rename(op);
    assertEquals(before, copy.replayed("reference"));
  }

  /** A chat case made from a recorded prompt: its last row and its completion. */
  @Test
  void textsOfAFileOfWhichOnlyAPromptWasRecordedAreReplayed() throws IOException {
    CopiedCase copy = CopiedCase.of(folder, "gguf/qwen2moe_b_q5_0.safetensors");
    copy.change(
        header -> {
          for (String name : List.of("prompt_ids", "greedy_ids", "greedy_logits_f32")) {
            header.set("0." + name, header.remove(name));
          }
          ObjectNode all = (ObjectNode) header.remove("logits_f32");
          int rows = all.path("shape").path(0).asInt();
          int columns = all.path("shape").path(1).asInt();
          int begin = all.path("data_offsets").path(0).asInt();
          int end = all.path("data_offsets").path(1).asInt();
          int last = end - columns * Float.BYTES;
          header.set("before", rows(all.deepCopy(), rows - 1, columns, begin, last));
          header.set("0.logits_f32", rows(all, 1, columns, last, end));
        });
    copy.changeSettings(settings -> settings.putArray("cases").addObject());
    copy.rename("gguf.text.qwen2moe");
    CaseResult result = copy.replayed("reference");
    assertTrue(result.passed(), result.line());
    copy.add("0.logits_f32", 0, 1);
    assertTrue(copy.replayed("reference").line().contains("0.logits_f32[0] is "));
  }

  private static ObjectNode rows(ObjectNode tensor, int rows, int columns, int begin, int end) {
    tensor.putArray("shape").add(rows).add(columns);
    tensor.putArray("data_offsets").add(begin).add(end);
    return tensor;
  }

  @Test
  void whatIsNeitherAModelNorABlockIsUnknown() throws IOException {
    CopiedCase copy = CopiedCase.of(folder, "hf_ops/switch_losses_0.safetensors");
    copy.rename("hf.acme_losses");
    assertEquals(
        List.of("unknown case kind 'hf.acme_losses'"), copy.replayed("reference").failures());
  }

  @Test
  void noClassOfAModelStandsInTheSources() throws IOException {
    String sources;
    try (Stream<Path> files = Files.walk(Path.of("src", "main", "java"))) {
      sources =
          files.filter(Files::isRegularFile).map(CaseKindsTest::text).collect(Collectors.joining());
    }
    TreeSet<String> others = new TreeSet<>();
    for (Path file : Conformance.cases(RecordedCasesTest.folder())) {
      try (GoldenFile golden = new GoldenFile(file)) {
        if (!CaseKinds.BY_OP.containsKey(golden.kind())) {
          others.add(golden.kind());
        }
      }
    }
    assertTrue(others.size() > 40, others.toString());
    for (String op : others) {
      assertFalse(sources.contains('"' + op + '"'), op);
    }
    assertFalse(sources.contains("ForCausalLM"));
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
