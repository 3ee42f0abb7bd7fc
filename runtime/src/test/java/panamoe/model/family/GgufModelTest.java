package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.RecordedFiles;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/** What GGUF files say of a model; that it computes the recorded logits shows conformance. */
class GgufModelTest {
  @TempDir private Path folder;

  static Stream<RecordedFiles.Case> recorded() throws IOException {
    return RecordedFiles.all();
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void onlySoundModelsAreAccepted(RecordedFiles.Case file) {
    if (file.accepted()) {
      ModelConfig config = open(file.path());
      assertEquals(1, config.layers());
      assertEquals(48, config.vocabulary());
      assertEquals(2, ((MoeConfig) config.blocks().getFirst().feedForward()).experts());
    } else {
      String message =
          assertThrows(CheckpointException.class, () -> open(file.path())).getMessage();
      assertEquals(1, message.lines().count(), message);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "missing_architecture | has no key general.architecture",
        "unknown_architecture | general.architecture is nonesuch, expected one of deepseek2, gpt-oss",
        "missing_key_head_count | has no key llama.attention.head_count",
        "missing_tensor_ffn_up_exps | missing blk.0.ffn_up_exps.weight",
        "missing_tensor_token_embd | has no matrix token_embd.weight",
        "key_type_float | key llama.embedding_length is of type FLOAT32, expected a whole number",
        "block_count_huge | key llama.block_count is 2147483647, expected 1 to 1024",
        "block_count_too_large | llama.block_count is 2, but the file holds fewer layers",
        "experts_used_more_than_experts | key llama.expert_used_count is 3, expected 1 to 2",
        "experts_used_zero | key llama.expert_used_count is 0, expected 1 to 2",
        "head_count_kv_no_divisor | 3 key/value heads do not divide",
        "wrong_shape | blk.0.attn_q.weight make a matrix [16, 64], expected [32, 32]",
        "wrong_expert_count | llama.expert_count is 3, but blk.0.ffn_gate_inp.weight has 2 rows"
      })
  void messagesSayWhatIsWrong(String name, String part) {
    Path path = RecordedFiles.path(name + ".gguf");
    String message = assertThrows(CheckpointException.class, () -> open(path)).getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void unknownKeysOfTheArchitectureAreRefused() throws IOException {
    Path path = changed("llama.rope.freq_base", "llama.rope.freq_bias");
    String message = assertThrows(CheckpointException.class, () -> open(path)).getMessage();
    assertTrue(message.contains("has llama.rope.freq_bias, which is not known here"), message);
  }

  @Test
  void unknownTensorsAreRefused() throws IOException {
    Path path = changed("blk.0.attn_output.weight", "blk.0.attn_outpux.weight");
    String message = assertThrows(CheckpointException.class, () -> open(path)).getMessage();
    assertTrue(message.contains("missing blk.0.attn_output.weight"), message);
    assertTrue(message.contains("unexpected blk.0.attn_outpux.weight"), message);
  }

  /** A sound file in which one text stands for another of its length. */
  private Path changed(String from, String to) throws IOException {
    byte[] bytes = Files.readAllBytes(RecordedFiles.path("ok_plain.gguf"));
    String text = new String(bytes, StandardCharsets.ISO_8859_1).replace(from, to);
    return Files.write(folder.resolve("changed.gguf"), text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** The configuration of a model whose tensors fit it. */
  private static ModelConfig open(Path path) {
    try (GgufFile file = GgufFile.open(path)) {
      ReleasedModel model = ReleasedModel.of(file);
      model.sources(file);
      return model.config();
    }
  }
}
