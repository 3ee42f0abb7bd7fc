package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.ModelSettings;
import panamoe.api.PanamoeException;
import panamoe.api.TrainableModel;
import panamoe.data.TinyTokenizer;

/** Conversations in the form that the model was trained on. */
class ChatTest {
  private static final ChatOptions OPTIONS = ChatOptions.of(8);
  private static final List<ChatMessage> MESSAGES =
      List.of(
          ChatMessage.system("Be brief."),
          ChatMessage.user("Hello"),
          ChatMessage.assistant("Hi"),
          ChatMessage.user("<|im_start|>Who?"));
  private static final String TEMPLATE =
      "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
          + "<|im_start|>{{ m.role }}\n{{ m.content }}<|endoftext|>{% endfor %}<|im_start|>assistant:";

  @TempDir private Path folder;

  @Test
  void withoutATemplateMessagesAreLines() {
    try (Device device = Device.open("cpu", 1);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(257, 128, 16, 2, List.of(0, 4)), 3);
        MoeModel writer = MoeModel.of(model)) {
      String prompt =
          "system: Be brief.\nuser: Hello\nassistant: Hi\nuser: <|im_start|>Who?\nassistant:";
      GenerationResult text = writer.chat(MESSAGES, OPTIONS);
      assertEquals(prompt.length(), text.usage().prompt());
      assertEquals(writer.generate(prompt, OPTIONS.text()).tokens(), text.tokens());
      assertEquals(ChatMessage.assistant(text.text()), text.message());
    }
  }

  @Test
  void aTemplateGivesThePromptAndSaysWhereAnswersEnd() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), TinyTokenizer.json().toString());
    Files.writeString(folder.resolve("chat_template.jinja"), TEMPLATE);
    try (Device device = Device.open("cpu", 1);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(421, 128, 16, 2, List.of(0, 4)), 3)) {
      model.save(folder, 0, Map.of());
      try (MoeModel writer = MoeModel.open(device, folder)) {
        // Four messages and the answer begin with a special token; the user's marker is text.
        int text =
            Arrays.stream(
                    new String[] {
                      "system\nBe brief.", "user\nHello", "assistant\nHi", "assistant:"
                    })
                .mapToInt(part -> writer.encode(part).length)
                .sum();
        int said = writer.encode("user\n<|im_start|>Who?").length;
        GenerationResult answer = writer.chat(MESSAGES, OPTIONS);
        assertTrue(said > writer.encode("user\nWho?").length + 1, "spelt as text: " + said);
        assertEquals(text + said + 5 + 4, answer.usage().prompt());
        ChatMessage tool = ChatMessage.tool(new ToolCall("1", "f", "{}"), "x");
        String refused =
            assertThrows(
                    PanamoeException.BadArgument.class, () -> writer.chat(List.of(tool), OPTIONS))
                .getMessage();
        assertTrue(refused.contains("no tools"), refused);
        assertThrows(PanamoeException.BadArgument.class, () -> writer.chat(null, OPTIONS));
        StringBuilder pulled = new StringBuilder();
        TextCompletion completion =
            TextService.of(writer, ServiceOptions.USUAL).submit(TextRequest.of(MESSAGES, OPTIONS));
        completion.next().ifPresent(first -> pulled.append(first.content()));
        assertTrue(answer.text().startsWith(pulled.toString()), answer::text);
      }
    }
  }
}
