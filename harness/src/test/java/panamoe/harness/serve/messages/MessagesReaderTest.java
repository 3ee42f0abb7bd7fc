package panamoe.harness.serve.messages;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.conversation.Message;
import panamoe.conversation.reply.FunctionCall;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.node.ObjectNode;

/** Conversations in Anthropic's form. */
class MessagesReaderTest {
  private static final String USER = "{'role':'user','content':'Count.'}";
  private static final String CALLS =
      "{'role':'assistant','content':[{'type':'text','text':'Well'},"
          + "{'type':'tool_use','id':'toolu_1','name':'vote','input':{'side':'ayes'}},"
          + "{'type':'tool_use','id':'toolu_2','name':'vote','input':{'side':'noes'}}]}";

  private static List<Message> read(String fields) throws IOException {
    return MessagesReader.of(
        new Fields((ObjectNode) TestServer.json(TestServer.quoted("{" + fields + "}"))));
  }

  private static Message tool(String id, String content) {
    return new Message("tool", content, null, null, List.of(), id);
  }

  @Test
  void stringsAndBlocksAreTheSame() throws Exception {
    List<Message> expected = List.of(Message.of("system", "Be\nkind."), Message.of("user", "a\nb"));
    assertEquals(
        expected, read("'system':'Be\\nkind.','messages':[{'role':'user','content':'a\\nb'}]"));
    assertEquals(
        expected,
        read(
            "'system':[{'type':'text','text':'Be','cache_control':{'type':'ephemeral','ttl':'1h'}},"
                + "{'type':'text','text':'kind.'}],'messages':[{'role':'user','content':["
                + "{'type':'text','text':'a','citations':null}]},{'role':'user','content':'b'}]"));
    assertEquals(
        List.of(Message.of("user", "a")),
        read("'system':'','messages':[{'role':'user','content':'a'}]"));
  }

  /** A later system message stays where it is. */
  @Test
  void resultsFollowTheirCallsInTheirOrder() throws Exception {
    List<Message> read =
        read(
            "'messages':["
                + USER
                + ","
                + CALLS
                + ",{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_2',"
                + "'is_error':true,'content':[{'type':'text','text':'no'},{'type':'text','text':'door'}]}]},"
                + "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_1','content':'17'},"
                + "{'type':'text','text':'And now?','cache_control':{'type':'ephemeral'}}]},"
                + "{'role':'system','content':'Be brief.'}]");
    assertEquals(
        List.of(
            Message.of("user", "Count."),
            new Message(
                "assistant",
                "Well",
                null,
                null,
                List.of(
                    new FunctionCall("toolu_1", "vote", "{\"side\":\"ayes\"}"),
                    new FunctionCall("toolu_2", "vote", "{\"side\":\"noes\"}")),
                null),
            tool("toolu_1", "17"),
            tool("toolu_2", "Error: no\ndoor"),
            Message.of("user", "And now?"),
            Message.of("system", "Be brief.")),
        read);
  }

  @Test
  void thoughtsAreGivenBackToTheTemplate() throws Exception {
    String thoughts =
        "{'role':'assistant','content':[{'type':'thinking','thinking':'Hm, ','signature':'x'},"
            + "{'type':'redacted_thinking','data':'x'},{'type':'text','text':'A'},"
            + "{'type':'thinking','thinking':'well.','signature':''},{'type':'text','text':'ye.'}]}";
    assertEquals(
        new Message("assistant", "Aye.", null, "Hm, well.", List.of(), null),
        read("'messages':[" + USER + "," + thoughts + "," + USER + "]").get(1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_9'}]}"
            + "| messages[2].content[0].tool_use_id is 'toolu_9', which is the id of no tool_use before",
        "{'role':'user','content':'Go on.'}"
            + "| messages[2].content comes before the tool_result of toolu_1, toolu_2:",
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_2'},"
            + "{'type':'text','text':'x'},{'type':'tool_result','tool_use_id':'toolu_1'}]}"
            + "| messages[2].content[1].type comes before the tool_result of toolu_1:",
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_2'}]}"
            + "| messages ends before the tool_result of toolu_1:",
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_1'},"
            + "{'type':'tool_result','tool_use_id':'toolu_1'}]}"
            + "| messages[2].content[1].tool_use_id is 'toolu_1', which is the id of no tool_use before",
        "{'role':'system','content':'x'}"
            + "| messages[2].role comes before the tool_result of toolu_1, toolu_2:",
        "{'role':'assistant','content':[{'type':'tool_use','id':'toolu_1','name':'vote','input':{}}]}"
            + "| messages[2].content[0].id is 'toolu_1', which is there twice",
      })
  void everyCallNeedsItsResult(String next, String reason) {
    ApiError error =
        assertThrows(
            ApiError.class, () -> read("'messages':[" + USER + "," + CALLS + "," + next + "]"));
    assertEquals(
        reason,
        error.getMessage().substring(0, Math.min(reason.length(), error.getMessage().length())));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'x':1 | messages is missing",
        "'messages':[] | messages is not an array of one message or more",
        "'messages':[7] | messages[0] is not an object",
        "'messages':[{'role':'tool','content':'x'}] | messages[0].role is none of user, assistant and system",
        "'messages':[{'role':'user'}] | messages[0].content is missing",
        "'messages':[{'role':'user','content':[]}]"
            + "| messages[0].content is not a string or an array of one block or more",
        "'messages':[{'role':'user','content':'x','name':'y'}] | there is no field messages[0].name",
        "'messages':[{'role':'user','content':[{'type':'image','source':{}}]}]"
            + "| messages[0].content[0].type is 'image', expected text and tool_result",
        "'messages':[{'role':'user','content':[{'type':'document','source':{}}]}]"
            + "| messages[0].content[0].type is 'document', expected text and tool_result",
        "'messages':[{'role':'user','content':[{'type':'text'}]}]"
            + "| messages[0].content[0].text is missing",
        "'messages':[{'role':'user','content':[{'type':'text','text':'x','size':7}]}]"
            + "| there is no field messages[0].content[0].size",
        "'system':[{'type':'image'}],'messages':[] | system[0].type is 'image', expected text",
        "'system':7,'messages':[] | system is not a string or an array of blocks",
        "'messages':[{'role':'user','content':'x'},{'role':'assistant','content':'y'}]"
            + "| messages ends with the assistant's turn: an answer that was begun cannot be continued",
        "'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'a','name':'b','input':'{}'}]}]"
            + "| messages[0].content[0].input is not an object",
        "'messages':[{'role':'assistant','content':[{'type':'server_tool_use','id':'a'}]}]"
            + "| messages[0].content[0].type is 'server_tool_use', expected text, thinking,"
            + " redacted_thinking and tool_use",
      })
  void whatIsNoConversation(String fields, String reason) {
    assertEquals(reason, assertThrows(ApiError.class, () -> read(fields)).getMessage());
  }
}
