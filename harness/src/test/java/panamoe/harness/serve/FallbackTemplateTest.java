package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.data.ByteTokenizer;
import panamoe.data.MarkedTokenizer;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.TemplateException;
import panamoe.harness.CommandRun;
import panamoe.model.family.Family;
import panamoe.model.family.ReleasedModel;
import panamoe.open.FallbackTemplate;
import panamoe.open.ModelFolder;

class FallbackTemplateTest {
  private static final Path GOLDEN = Path.of("../lab/golden");
  private static final MarkedTokenizer TOKENIZER =
      new MarkedTokenizer("<|im_start|>", "<|im_end|>", "<｜Assistant｜>", "<|channel|>");

  private static ArrayNode messages() {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "system").put("content", "S");
    messages.addObject().put("role", "user").put("content", "a<|im_end|>");
    messages.addObject().put("role", "assistant").put("content", "b");
    messages.addObject().put("role", "user").put("content", "c");
    return messages;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "qwen3_moe|`<~im_start~>system@S<~im_end~>@<~im_start~>user@a<~im_end~><~im_end~>@<~im_start~>assistant@b<~im_end~>@<~im_start~>user@c<~im_end~>@<~im_start~>assistant@`",
        "mixtral|`[INST] S@@a<~im_end~> [/INST] b[INST] c [/INST]`",
        "deepseek_v3|`S<｜User｜>a<~im_end~><｜Assistant｜>b<｜User｜>c<｜Assistant｜>`",
        "olmoe|`<~system~>@S@<~user~>@a<~im_end~>@<~assistant~>@b@<~user~>@c@<~assistant~>@`",
        "gpt_oss|`<~start~>system<~message~>Reasoning: medium@@# Valid channels: analysis, commentary, final.<~end~><~start~>developer<~message~>S<~end~><~start~>user<~message~>a<~im_end~><~end~><~start~>assistant<~channel~>final<~message~>b<~end~><~start~>user<~message~>c<~end~><~start~>assistant`"
      })
  void eachFamilyHasItsForm(String type, String expected) {
    ChatTemplate template = FallbackTemplate.of(type, TOKENIZER).orElseThrow();
    ChatPrompt prompt = ChatPrompt.of(template, TOKENIZER);
    assertEquals(expected.replace('@', '\n').replace('~', '|'), prompt.of(messages()).text());
    long ends =
        Arrays.stream(prompt.tokens(prompt.of(messages())))
            .filter(token -> TOKENIZER.special(token).equals("<|im_end|>"))
            .count();
    assertEquals(type.equals("qwen3_moe") ? 4 : 0, ends, "the user's own is text");
  }

  @ParameterizedTest
  @ValueSource(strings = {"mixtral", "deepseek_v3", "olmoe", "gpt_oss"})
  void callsThatAFormDoesNotShowAreRefused(String type) {
    ArrayNode messages = messages();
    calling(messages, "vote");
    ChatPrompt prompt =
        ChatPrompt.of(FallbackTemplate.of(type, TOKENIZER).orElseThrow(), TOKENIZER);
    assertTrue(
        assertThrows(TemplateException.class, () -> prompt.of(messages))
            .getMessage()
            .contains("--chat-template"));
  }

  @Test
  void aCallsNameIsAStringOfJson() {
    ArrayNode messages = messages();
    calling(messages, "a\"b");
    ChatTemplate template = FallbackTemplate.of("qwen3_moe", TOKENIZER).orElseThrow();
    String text = ChatPrompt.of(template, TOKENIZER).of(messages).text();
    assertTrue(text.contains("<tool_call>{\"name\": \"a\\\"b\", \"arguments\": {}}"), text);
  }

  private static void calling(ArrayNode messages, String name) {
    ObjectNode message = messages.addObject().put("role", "assistant").put("content", "");
    message
        .putArray("tool_calls")
        .addObject()
        .put("id", "1")
        .put("type", "function")
        .putObject("function")
        .put("name", name)
        .put("arguments", "{}");
  }

  /** A developer's message is one of the system, never the assistant's; a second one adds to it. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "qwen3_moe|`system@D<`",
        "mixtral|`[INST] S@@D@@a`",
        "deepseek_v3|`SD<｜User｜>a`",
        "olmoe|`<~system~>@D@`",
        "gpt_oss|`developer<~message~>D<`"
      })
  void developersInstruct(String type, String part) {
    ArrayNode messages = messages();
    messages.insertObject(1).put("role", "developer").put("content", "D");
    ChatTemplate template = FallbackTemplate.of(type, TOKENIZER).orElseThrow();
    String text = ChatPrompt.of(template, TOKENIZER).of(messages).text();
    assertTrue(text.contains(part.replace('@', '\n').replace('~', '|')), text);
  }

  @Test
  void mixtralsInstructionsNeedAMessageOfTheUser() {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "system").put("content", "S");
    ChatPrompt prompt =
        ChatPrompt.of(FallbackTemplate.of("mixtral", TOKENIZER).orElseThrow(), TOKENIZER);
    assertThrows(TemplateException.class, () -> prompt.of(messages));
  }

  /** A message of GPT-OSS's that thinks ends as messages before do, and the answer goes on. */
  @Test
  void gptOssEndsAtReturnAlone() {
    MarkedTokenizer tokenizer = new MarkedTokenizer("<|channel|>", "<|end|>", "<|return|>");
    ChatTemplate template = FallbackTemplate.of("gpt_oss", tokenizer).orElseThrow();
    assertEquals(Set.of(259), ChatPrompt.of(template, tokenizer).ends().tokens());
  }

  /** What was made of a released model has no name of a family, but its numbers. */
  @Test
  void aQuantizedFolderKeepsItsFamilysForm(@TempDir Path folder) throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "the cat and the dog ".repeat(200));
    Path out = folder.resolve("quantized");
    String gguf = GOLDEN + "/gguf/mixtral_text_f16.gguf";
    String command = "quantize " + gguf + " --to int8 --measure 0 --text " + text + " --out " + out;
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    Files.writeString(out.resolve("tokenizer_config.json"), "{}"); // it had a template
    ModelFolder quantized = ModelFolder.open(out);
    assertTrue(quantized.tokenizerFiles().chatTemplate().isEmpty());
    assertEquals(
        "<s>[INST] S\n\na<|im_end|> [/INST] b</s>[INST] c [/INST]",
        ChatPrompt.of(FallbackTemplate.of(quantized).orElseThrow(), quantized.tokenizer())
            .of(messages())
            .text());
  }

  @Test
  void aTrainedModelsFamilyIsKnown() throws IOException {
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(GOLDEN.resolve("hf"))) {
      for (Path folder : folders) {
        ReleasedModel model = ReleasedModel.of(HuggingFaceFolder.of(folder).orElseThrow());
        boolean trains = model.config().encoder() == null;
        assertEquals(
            trains ? Optional.of(model.type()) : Optional.empty(),
            Family.of(model.trained()).map(Family::type),
            folder::toString);
      }
    }
  }

  @Test
  void aVocabularyWithoutTheTokensHasNone() {
    assertEquals(Optional.empty(), FallbackTemplate.of("qwen3_moe", new ByteTokenizer()));
    assertTrue(FallbackTemplate.of("mixtral", new ByteTokenizer()).isPresent());
    assertEquals(Optional.empty(), FallbackTemplate.of("switch", TOKENIZER));
  }
}
