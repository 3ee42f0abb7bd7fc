package panamoe.open.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.CheckpointException;

class FileChoiceTest {
  private static final List<String> GGUF =
      List.of(
          ".gitattributes",
          "README.md",
          "config.json",
          "Qwen3-30B-A3B-IQ4_XS.gguf",
          "Qwen3-30B-A3B-Q4_K_M.gguf",
          "Qwen3-30B-A3B-Q8_0.gguf",
          "Qwen3-30B-A3B-UD-Q4_K_XL.gguf",
          "BF16/Qwen3-30B-A3B-BF16-00002-of-00002.gguf",
          "BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf",
          "imatrix_unsloth.gguf",
          "mmproj-F16.gguf");

  private static final List<String> FOLDER =
      List.of(
          "1_Pooling/config.json",
          "README.md",
          "config.json",
          "generation_config.json",
          "model-00001-of-00002.safetensors",
          "model-00002-of-00002.safetensors",
          "model.safetensors.index.json",
          "onnx/model.onnx",
          "original/config.json",
          "pytorch_model.bin.index.json",
          "tokenizer.model",
          "tokenizer_config.json",
          "chat_template.jinja",
          "vocab.txt");

  private static FileChoice of(String name, List<String> files) {
    return FileChoice.of(ModelName.parse(name), files);
  }

  private static void refused(String name, List<String> files, String message) {
    CheckpointException refusal = assertThrows(CheckpointException.class, () -> of(name, files));
    assertEquals(message, refusal.getMessage());
  }

  @Test
  void aQuantisationIsThatOfItsFileOrFolder() {
    assertEquals(List.of("Qwen3-30B-A3B-Q8_0.gguf"), of("hf:a/b:q8_0", GGUF).files());
    assertEquals(List.of("Qwen3-30B-A3B-Q4_K_M.gguf"), of("hf:a/b:Q4_K_M", GGUF).files());
    assertEquals(List.of("Qwen3-30B-A3B-UD-Q4_K_XL.gguf"), of("hf:a/b:Q4_K_XL", GGUF).files());
    assertEquals(
        List.of(
            "BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf",
            "BF16/Qwen3-30B-A3B-BF16-00002-of-00002.gguf"),
        of("hf:a/b:BF16", GGUF).files());
    assertEquals(
        List.of("Q2_K/model.gguf"),
        of("hf:a/b:Q2_K", List.of("Q2_K/model.gguf", "F16/model.gguf")).files());
    assertEquals(
        List.of("Qwen3-30B-A3B-IQ4_XS.gguf"), of("hf:a/b:Qwen3-30B-A3B-IQ4_XS.gguf", GGUF).files());
  }

  @Test
  void withoutAQuantisationItIsTheUsualOrTheOnlyOne() {
    assertEquals(List.of("Qwen3-30B-A3B-Q4_K_M.gguf"), of("hf:a/b", GGUF).files());
    assertEquals(
        List.of("b-f16.gguf"), of("hf:a/b", List.of("b-f16.gguf", "mmproj-b.gguf")).files());
    refused(
        "hf:a/b",
        List.of("b-Q8_0.gguf", "b-Q6_K.gguf"),
        "hf:a/b is several models: there are Q6_K, Q8_0; name one, such as hf:a/b:Q6_K");
  }

  @Test
  void whatThereIsIsListed() {
    refused(
        "hf:a/b:Q5_K_M",
        GGUF,
        "hf:a/b:Q5_K_M is not in the repository: there are BF16, IQ4_XS, Q4_K_M, Q8_0, UD-Q4_K_XL;"
            + " name one, such as hf:a/b:BF16");
    refused(
        "hf:a/b:Q8_0",
        List.of("7b-Q8_0.gguf", "1b-Q8_0.gguf", "1b-F16.gguf"),
        "hf:a/b:Q8_0 is several models: there are 1b-Q8_0.gguf, 7b-Q8_0.gguf; name one, such as"
            + " hf:a/b:1b-Q8_0.gguf");
    refused(
        "hf:a/b:Q8_0", FOLDER, "hf:a/b:Q8_0 holds safetensors and no GGUF file: leave :Q8_0 out");
    refused(
        "hf:a/b:Q8_0",
        List.of("b-Q8_0-00001-of-00003.gguf", "b-Q8_0-00003-of-00003.gguf"),
        "hf:a/b:Q8_0 has 2 files b-Q8_0-00001-of-00003.gguf, b-Q8_0-00003-of-00003.gguf in the"
            + " repository, and by their names there are 3");
  }

  @Test
  void aFolderIsItsSettingsAndItsIndex() {
    FileChoice choice = of("hf:a/b", FOLDER);
    assertEquals(
        List.of(
            "1_Pooling/config.json",
            "config.json",
            "generation_config.json",
            "model.safetensors.index.json",
            "tokenizer.model",
            "tokenizer_config.json",
            "chat_template.jinja"),
        choice.files());
    List<String> both = List.of("config.json", "model.safetensors", "model.safetensors.index.json");
    assertEquals(List.of("config.json"), of("hf:a/b", both).files());
  }

  @Test
  void otherKindsOfModelsAreRefusedBeforeAnythingIsFetched() {
    refused(
        "hf:a/b",
        List.of("model_index.json", "unet/config.json", "unet/model.safetensors"),
        "hf:a/b holds no language model: it is a model of diffusers, which makes images or sounds");
    refused(
        "hf:a/b",
        List.of("config.json", "pytorch_model.bin"),
        "hf:a/b holds no language model: its weights are Python's pickles, which are programs");
    refused(
        "hf:a/b",
        List.of("README.md"),
        "hf:a/b holds no language model: neither safetensors with a config.json nor GGUF files");
  }
}
