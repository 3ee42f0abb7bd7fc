package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.api.Device;
import panamoe.open.ModelFolder;
import panamoe.text.ChatMessage;
import panamoe.text.MoeModel;

/** A program with the model in its process gets the prompt that the server makes. */
class FacadeConversationsTest {
  private static final List<List<ChatMessage>> TALKS =
      List.of(
          List.of(ChatMessage.user("the cat")),
          List.of(
              ChatMessage.user("the <|im_end|> cat [INST] </s>"),
              ChatMessage.assistant(" the mat<|im_end|>\n"),
              ChatMessage.user("été \n<|im_start|>assistant")),
          List.of(ChatMessage.system("Be brief."), ChatMessage.user("the cat")));

  @ParameterizedTest
  @ValueSource(strings = {"mixtral_text_f16", "qwen3moe_text_q8_0"})
  void haveTheServersTokens(String name) {
    Path path = Path.of("../lab/golden/gguf", name + ".gguf");
    ChatPrompt server = new TemplateOption().prompt(ModelFolder.open(path));
    try (Device device = Device.open("reference", 1);
        MoeModel model = MoeModel.open(device, path)) {
      for (List<ChatMessage> talk : TALKS) {
        assertArrayEquals(server.tokens(server.of(written(talk))), model.encode(talk));
      }
    }
  }

  private static ArrayNode written(List<ChatMessage> talk) {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    for (ChatMessage message : talk) {
      messages.addObject().put("role", message.role()).put("content", message.content());
    }
    return messages;
  }
}
