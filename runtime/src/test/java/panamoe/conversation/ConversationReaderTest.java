package panamoe.conversation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.conversation.reply.FunctionCall;
import panamoe.io.DataException;

class ConversationReaderTest {
  @TempDir private Path folder;

  private List<Conversation> read(String lines) throws IOException {
    return ConversationReader.read(
        Files.writeString(folder.resolve("chats.jsonl"), lines.replace('\'', '"')));
  }

  @Test
  void readsTheFormOfOpenAi() throws IOException {
    Conversation read =
        read("""

                {'messages':[{'role':'system','content':'Be brief.'},{'role':'user','content':[{'type':'text','text':'Vo'},{'type':'text','text':'te'}]},{'role':'assistant','content':null,'reasoning_content':'hm','tool_calls':[{'id':'c1','type':'function','function':{'name':'vote','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c1','content':'17'}],'tools':[{'type':'function','function':{'name':'vote','parameters':{'type':'object'}}}],'source':'x'}
                """)
            .getFirst();
    FunctionCall call = new FunctionCall("c1", "vote", "{}");
    assertEquals(
        List.of(
            Message.of("system", "Be brief."),
            Message.of("user", "Vote"),
            new Message("assistant", "", null, "hm", List.of(call), null),
            new Message("tool", "17", null, null, List.of(), "c1")),
        read.messages());
    assertEquals("vote", read.tools().shown().getFirst().name());
  }

  @Test
  void readsTheFormOfShareGpt() throws IOException {
    Conversation read =
        read("""
                {'system':'Be brief.','conversations':[{'from':'human','value':'Vote'},{'from':'function_call','value':'{\\'name\\':\\'vote\\',\\'arguments\\':{}}'},{'from':'observation','value':'17'},{'from':'gpt','value':'Done'}]}
                """)
            .getFirst();
    FunctionCall call = new FunctionCall("call_2", "vote", "{}");
    assertEquals(
        List.of(
            Message.of("system", "Be brief."),
            Message.of("user", "Vote"),
            new Message("assistant", "", null, null, List.of(call), null),
            new Message("tool", "17", null, null, List.of(), "call_2"),
            Message.of("assistant", "Done")),
        read.messages());
  }

  @Test
  void aWeightOf0IsContext() throws IOException {
    Conversation read =
        read("""
                {'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b','weight':0},{'role':'assistant','content':'c','weight':1}]}
                """)
            .getFirst();
    assertEquals(
        List.of(false, false, true),
        List.of(read.isTrained(0), read.isTrained(1), read.isTrained(2)));
  }

  /** The forms in which pairs are published say the same. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'prompt':[{'role':'user','content':'Hi'}],'chosen':[{'role':'assistant','content':'Yes'}],'rejected':[{'role':'assistant','content':'No'}]}",
        "{'chosen':[{'role':'user','content':'Hi'},{'role':'assistant','content':'Yes'}],'rejected':[{'role':'user','content':'Hi'},{'role':'assistant','content':'No'}]}",
        "{'prompt':'Hi','messages':[],'chosen':[{'role':'user','content':'Hi'},{'role':'assistant','content':'Yes'}],'rejected':[{'role':'user','content':'Hi'},{'role':'assistant','content':'No'}]}",
        "{'prompt':'Hi','chosen':'Yes','rejected':'No'}",
        "{'conversations':[{'from':'human','value':'Hi'}],'chosen':{'from':'gpt','value':'Yes'},'rejected':{'from':'gpt','value':'No'}}",
        "{'input':{'messages':[{'role':'user','content':'Hi'}]},'preferred_output':[{'role':'assistant','content':'Yes'}],'non_preferred_output':[{'role':'assistant','content':'No'}]}"
      })
  void readsPairsInTheirPublishedForms(String line) throws IOException {
    ConversationReader.Pair pair = pairs(line).getFirst();
    Message prompt = Message.of("user", "Hi");
    assertEquals(List.of(prompt, Message.of("assistant", "Yes")), pair.chosen().messages());
    assertEquals(List.of(prompt, Message.of("assistant", "No")), pair.rejected().messages());
    assertEquals(true, pair.chosen().isTrained(1) && pair.rejected().isTrained(1));
  }

  /** What both answers begin with is context. */
  @Test
  void aPairTrainsWhatDiffers() throws IOException {
    ConversationReader.Pair pair =
        pairs(
                "{'system':'Be brief.','prompt':'Hi','chosen':[{'role':'assistant','content':'a'},{'role':'user','content':'b'},{'role':'assistant','content':'c'}],'rejected':[{'role':'assistant','content':'a'},{'role':'user','content':'b'},{'role':'assistant','content':'d'}]}")
            .getFirst();
    assertEquals("Be brief.", pair.chosen().messages().getFirst().content());
    assertEquals(false, pair.chosen().isTrained(2));
    assertEquals(true, pair.chosen().isTrained(4) && pair.rejected().isTrained(4));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "{'prompt':'Hi','chosen':'Yes','rejected':'Yes'}; the chosen and the rejected answer are equal",
        "{'prompt':'Hi','chosen':'Yes'}; expected an answer in \"rejected\"",
        "{'prompt':'Hi','chosen':[],'rejected':'No'}; expected an answer in \"chosen\"",
        "{'chosen':'Yes','rejected':'No'}; the two answers have no common prompt",
        "{'prompt':'Hi','chosen':[{'role':'user'}],'rejected':'No'}; the two answers have no common prompt"
      })
  void aLineThatIsNoPairIsNamed(String line, String message) {
    String first = "{'prompt':'Hi','chosen':'Yes','rejected':'No'}\n\n";
    DataException e = assertThrows(DataException.class, () -> pairs(first + line));
    assertEquals(folder.resolve("pairs.jsonl") + ", line 3: " + message, e.getMessage());
  }

  private List<ConversationReader.Pair> pairs(String lines) throws IOException {
    return ConversationReader.pairs(
        Files.writeString(folder.resolve("pairs.jsonl"), lines.replace('\'', '"')));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "{'messages':[{; line 2 is not JSON: it ends too early",
        "{'messages':[],'messages':[]}; line 2 is not JSON: a key is there twice: 'messages'",
        "{'text':'a'}; line 2: expected an object with an array \"messages\" or \"conversations\"",
        "{'messages':[{'content':'a'}]}; line 2: \"role\" of a message, call or tool is not a string",
        "{'messages':[{'role':'user','content':[{'type':'image_url'}]}]}; line 2: a part of a message is of type 'image_url', not text",
        "{'messages':[{'role':'user','content':7}]}; line 2: the content of a message is not text",
        "{'conversations':[{'from':'me','value':'a'}]}; line 2: a message is from 'me', expected one of",
        "{'conversations':[{'from':'tool','value':'a'}]}; line 2: a result of a tool follows no call",
        "{'messages':[{'role':'assistant','tool_calls':[{'id':'c','function':{'name':'f','arguments':'{'}}]}]}; line 2: the arguments of the call c are not the text of a JSON object"
      })
  void aLineThatIsNoConversationIsNamed(String line, String message) {
    String first = "{'messages':[{'role':'user','content':'a'}]}\n";
    DataException e = assertThrows(DataException.class, () -> read(first + line));
    String expected = folder.resolve("chats.jsonl") + ", " + message;
    assertEquals(expected, e.getMessage().substring(0, expected.length()));
  }

  @Test
  void aFileWithoutConversationsIsRefused() {
    DataException e = assertThrows(DataException.class, () -> read("\n"));
    assertEquals(folder.resolve("chats.jsonl") + " has no conversation", e.getMessage());
  }
}
