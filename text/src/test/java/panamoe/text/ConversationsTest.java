package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.conversation.ChatFormat;
import panamoe.data.ByteTokenizer;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Answers of conversations: where they end, and what is refused. */
class ConversationsTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden");
  private static final int WORDS = 300; // tokens of a released model from there on are special
  private static final List<ChatMessage> QUESTION = List.of(ChatMessage.user("the cat"));
  private static final List<ChatMessage> TALK =
      List.of(
          ChatMessage.system("Be brief."),
          ChatMessage.user("the cat"),
          ChatMessage.assistant("the mat"),
          ChatMessage.user("the hat"));
  private static final ChatOptions OPTIONS =
      ChatOptions.of(GenerationOptions.of(60).withSampling(Sampling.of(1, 7)));

  @TempDir private Path folder;

  /** A recorded model with some special tokens. */
  private void released(String name, int vocabulary) throws IOException {
    try (Stream<Path> files = Files.list(RECORDED.resolve(name))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    int words = Math.min(WORDS, vocabulary);
    ObjectNode tokenizer = OpenedModelsTest.tokenizer(words);
    ArrayNode added = (ArrayNode) tokenizer.get("added_tokens");
    for (int id = words; id < vocabulary; id++) {
      ObjectNode token = ((ObjectNode) added.get(0)).deepCopy();
      added.add(token.put("id", id).put("content", marker(id)));
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
  }

  private static String marker(int id) {
    return "<|" + id + "|>";
  }

  /** Contents, and a marker after an assistant's. */
  private void template(String marker) throws IOException {
    Files.writeString(
        folder.resolve("chat_template.jinja"),
        "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('not so') }}{% endif"
            + " %}{{ m.content }}{% if m.role == 'assistant' %}"
            + marker
            + "{% endif %}{% endfor %}");
  }

  @Test
  void anAnswerEndsAtTheTokenBehindATurn() throws IOException {
    released("hf/qwen2_moe_b_dense_mix", 384);
    template("");
    GenerationResult endless;
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      assertArrayEquals(model.encode("the cat"), model.encode(QUESTION, OPTIONS));
      endless = model.chat(QUESTION, OPTIONS);
    }
    List<Integer> drawn = endless.tokens();
    int end = drawn.stream().filter(token -> token >= WORDS).findFirst().orElseThrow();
    template(marker(end));
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      StringBuilder streamed = new StringBuilder();
      GenerationResult answer =
          model.chat(QUESTION, OPTIONS, piece -> streamed.append(piece.content()));
      assertEquals(FinishReason.STOP, answer.finishReason());
      assertEquals(drawn.subList(0, drawn.indexOf(end)), answer.tokens());
      assertEquals(answer.text(), streamed.toString());
      assertTrue(endless.text().startsWith(answer.text()) && !answer.text().isEmpty());
      assertEquals(answer.text(), pulled(model));
      GenerationResult text = model.generate("the cat", OPTIONS.text()); // not a conversation
      assertEquals(drawn, text.tokens());
    }
  }

  private static String pulled(MoeModel model) {
    StringBuilder text = new StringBuilder();
    TextCompletion completion =
        TextService.of(model, ServiceOptions.USUAL).submit(TextRequest.of(QUESTION, OPTIONS));
    GenerationResult result = completion.forEach(piece -> text.append(piece.content()));
    assertEquals(text.toString(), result.message().content());
    return text.toString();
  }

  @Test
  void wrongConversationsAreRefused() throws IOException {
    released("hf/qwen2_moe_b_dense_mix", 384);
    template("");
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      assertEquals("not so", refusal(() -> model.chat(List.of(ChatMessage.user("no")), OPTIONS)));
      assertEquals("there are no messages", refusal(() -> model.chat(List.of(), OPTIONS)));
      assertEquals("messages is null", refusal(() -> model.chat(null, OPTIONS)));
      assertEquals(
          "a message is null", refusal(() -> model.chat(Collections.singletonList(null), OPTIONS)));
      assertEquals("options is null", refusal(() -> model.chat(QUESTION, null)));
      assertEquals("onPiece is null", refusal(() -> model.chat(QUESTION, OPTIONS, null)));
      String tooLong = "the cat ".repeat(model.context());
      String said = refusal(() -> model.chat(List.of(ChatMessage.user(tooLong)), OPTIONS));
      assertTrue(said.contains("context"), said);
    }
  }

  @Test
  void aBrokenTemplateLeavesTextsThatAreNoConversations() throws IOException {
    released("hf/qwen2_moe_b_dense_mix", 384);
    Files.writeString(folder.resolve("chat_template.jinja"), "{% for %}");
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      assertFalse(model.generate("the cat", OPTIONS.text()).tokens().isEmpty());
      String said =
          assertThrows(PanamoeException.BadModel.class, () -> model.chat(QUESTION, OPTIONS))
              .getMessage();
      assertTrue(said.contains("chat_template.jinja"), said);
    }
  }

  @Test
  void aNamedTemplateIsReadWhenTheModelIsOpened() throws IOException {
    released("hf/qwen2_moe_b_dense_mix", 384);
    Path empty = Files.writeString(folder.resolve("empty.jinja"), "");
    try (Device device = Device.open("cpu", 1)) {
      String said =
          assertThrows(
                  PanamoeException.BadModel.class,
                  () -> MoeModel.open(device, folder, ModelOptions.USUAL.withChatTemplate(empty)))
              .getMessage();
      assertEquals(empty + " gives no prompt for a short conversation", said);
    }
  }

  @Test
  void callsInAFormThatIsNotReadAreAWarningOfTools() throws IOException {
    released("hf/qwen2_moe_b_dense_mix", 384);
    template(
        "{% for c in m.tool_calls %}{{ c.function.name }}: {{ c.function.arguments }}{% endfor %}");
    ChatOptions tools = OPTIONS.withTools(new Tool("vote", null, null));
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      model.encode(QUESTION, OPTIONS);
      assertEquals(List.of(), model.warnings());
      model.encode(QUESTION, tools);
      model.encode(QUESTION, OPTIONS);
      assertEquals(1, model.warnings().size());
      assertTrue(
          model.warnings().getFirst().contains("a form that is not read"),
          model.warnings()::toString);
    }
  }

  @Test
  void argumentsThatAreNestedTooDeepAreNamed() throws IOException {
    released("hf/qwen2_moe_b_dense_mix", 384);
    template("");
    ToolCall deep = new ToolCall("c1", "vote", "{\"a\":".repeat(1001) + "1" + "}".repeat(1001));
    ChatMessage calling = new ChatMessage("assistant", "", null, null, List.of(deep), null);
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      assertEquals(
          "the arguments of the call c1 are nested more than 500 deep, or have a number of more"
              + " than 1000 digits",
          refusal(() -> model.encode(List.of(calling), OPTIONS)));
    }
  }

  @Test
  void aModelWithAnEncoderHasNoConversations() throws IOException {
    released("hf/switch_a", 256);
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      assertEquals(
          "the model has an encoder: it takes one prompt, not a conversation; use generate",
          refusal(() -> model.chat(QUESTION, OPTIONS)));
    }
  }

  @Test
  void aGgufFilesTemplateIsFollowed() {
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, RECORDED.resolve("gguf/qwen3moe_text_q8_0.gguf"))) {
      assertEquals(
          "system\nBe brief.\nuser\nthe cat\nassistant\nthe mat\nuser\nthe hat\nassistant\n",
          model.decode(model.encode(TALK, OPTIONS)));
      List<ChatMessage> talk = MoeModelExample.talk(model);
      assertEquals(5, talk.size());
      assertEquals("assistant", talk.getLast().role());
    }
  }

  @Test
  void linesEndWhereTheUserSpeaks() {
    ChatFormat.Ends ends = ChatFormat.lines(new ByteTokenizer()).ends();
    assertEquals(List.of("x", "\nuser:"), OPTIONS.text().withStop("x").toStop(ends).texts());
  }

  private static String refusal(Executable call) {
    return assertThrows(PanamoeException.BadArgument.class, call).getMessage();
  }
}
