package panamoe.conversation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.data.ByteTokenizer;
import panamoe.data.MarkedTokenizer;
import panamoe.model.family.Family;
import panamoe.model.family.ReleasedModel;

class FallbackTemplateTest {
  private static final Path GOLDEN = Path.of("../lab/golden");
  private static final MarkedTokenizer TOKENIZER =
      new MarkedTokenizer("<|im_start|>", "<|im_end|>", "<｜Assistant｜>", "<|channel|>");

  private static List<Message> messages(Message... more) {
    List<Message> messages = new ArrayList<>();
    messages.add(Message.of("system", "S"));
    messages.add(Message.of("user", "a<|im_end|>"));
    messages.add(Message.of("assistant", "b"));
    messages.add(Message.of("user", "c"));
    messages.addAll(List.of(more));
    return messages;
  }

  private static ChatFormat format(String type) {
    return ChatFormat.of(FallbackTemplate.of(type, TOKENIZER).orElseThrow(), TOKENIZER);
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
    Prompt prompt = format(type).prompt(messages());
    assertEquals(expected.replace('@', '\n').replace('~', '|'), prompt.text());
    long ends =
        Arrays.stream(format(type).tokens(prompt))
            .filter(token -> TOKENIZER.special(token).equals("<|im_end|>"))
            .count();
    assertEquals(type.equals("qwen3_moe") ? 4 : 0, ends, "the user's own is text");
  }

  @ParameterizedTest
  @ValueSource(strings = {"mixtral", "deepseek_v3", "olmoe", "gpt_oss"})
  void callsThatAFormDoesNotShowAreRefused(String type) {
    assertTrue(
        assertThrows(TemplateException.class, () -> format(type).prompt(messages(calling("vote"))))
            .getMessage()
            .contains("name the file of one that does"));
  }

  @Test
  void aCallsNameIsAStringOfJson() {
    String text = format("qwen3_moe").prompt(messages(calling("a\"b"))).text();
    assertTrue(text.contains("<tool_call>{\"name\": \"a\\\"b\", \"arguments\": {}}"), text);
  }

  private static Message calling(String name) {
    List<FunctionCall> calls = List.of(new FunctionCall("1", name, "{}"));
    return new Message("assistant", "", null, null, calls, null);
  }

  /** A developer's message is a system message, never the assistant's; a second one is appended. */
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
    List<Message> messages = messages();
    messages.add(1, Message.of("developer", "D"));
    String text = format(type).prompt(messages).text();
    assertTrue(text.contains(part.replace('@', '\n').replace('~', '|')), text);
  }

  @Test
  void mixtralsInstructionsNeedAMessageOfTheUser() {
    List<Message> messages = List.of(Message.of("system", "S"));
    assertThrows(TemplateException.class, () -> format("mixtral").prompt(messages));
  }

  /** In GPT-OSS's format a message with thoughts ends like others, and the answer continues. */
  @Test
  void gptOssEndsAtReturnAlone() {
    MarkedTokenizer tokenizer = new MarkedTokenizer("<|channel|>", "<|end|>", "<|return|>");
    ChatTemplate template = FallbackTemplate.of("gpt_oss", tokenizer).orElseThrow();
    assertEquals(Set.of(259), ChatFormat.of(template, tokenizer).ends().tokens());
  }

  @Test
  void aTrainedModelsFamilyIsKnown() throws IOException {
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(GOLDEN.resolve("hf"))) {
      for (Path folder : folders) {
        ReleasedModel model = ReleasedModel.of(HuggingFaceFolder.of(folder).orElseThrow());
        boolean trains = model.config().encoder() == null;
        // These compute what the first family of the same configuration computes.
        String type =
            Map.of(
                    "phi3_c_longrope", "mistral",
                    "phi3_d_longrope_long", "llama",
                    "glm4_moe_lite_b", "deepseek_v3")
                .getOrDefault(folder.getFileName().toString(), model.type());
        assertEquals(
            trains ? Optional.of(type) : Optional.empty(),
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
