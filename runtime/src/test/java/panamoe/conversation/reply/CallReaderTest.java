package panamoe.conversation.reply;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.ByteTokenizer;

class CallReaderTest {
  private static final String CALL =
      "<tool_call>{\"name\": \"mark\", \"arguments\": {\"as\": {\"a\": \"}\\\"{\"}}}</tool_call>";

  private static Reply reply() {
    return ReplyForm.HERMES.reply(new ByteTokenizer(), false, false, ReplyFamily.FUNCTIONS);
  }

  /** The content, then each call; checks that streamed pieces give the same. */
  private static String read(List<String> pieces) {
    Reply reply = reply();
    StringBuilder content = new StringBuilder();
    List<String> calls = new ArrayList<>();
    for (String piece : pieces) {
      add(reply.next(piece), content, calls);
    }
    add(reply.end(false), content, calls);
    assertEquals(content.toString(), reply.content());
    assertEquals(
        calls, reply.calls().stream().map(call -> call.name() + " " + call.arguments()).toList());
    return content + (calls.isEmpty() ? "" : "|" + String.join("|", calls));
  }

  private static void add(Reply.Read read, StringBuilder content, List<String> calls) {
    content.append(read.content());
    for (FunctionCall.Piece call : read.calls()) {
      if (call.id() != null) {
        assertEquals(calls.size(), call.index());
        calls.add(call.name() + " ");
      }
      assertEquals(calls.size() - 1, call.index());
      calls.add(calls.removeLast() + call.arguments());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "Hello.;Hello.",
        "Let me see. CALL;Let me see. |mark ARGUMENTS",
        "` CALL\n`;|mark ARGUMENTS",
        "`CALL\nCALL`;|mark ARGUMENTS|mark ARGUMENTS",
        "`<tool_call>\n{ \"name\" : \"f\", \"arguments\": {} }\n</tool_call>`;|f {}",
        // Cut off.
        "a <tool_ca;a <tool_ca",
        "<tool_call>{\"name\": \"f\";<tool_call>{\"name\": \"f\"",
        "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": [1;|f {\"a\": [1",
        "<tool_call>{\"name\": \"f\", \"arguments\": {}};|f {}",
        // Not calls.
        "a < b <tool <tool_calls>;a < b <tool <tool_calls>",
        "<tool_call>f(1)</tool_call>;<tool_call>f(1)</tool_call>",
        "<tool_call>{\"name\": \"f\"}</tool_call> CALL;<tool_call>{\"name\": \"f\"}</tool_call> |mark ARGUMENTS",
        "`  `;`  `",
      })
  void aTextInAnyPieces(String text, String expected) {
    String whole = text.replace("CALL", CALL);
    String read = expected.replace("ARGUMENTS", "{\"as\": {\"a\": \"}\\\"{\"}}");
    assertEquals(read, read(List.of(whole)));
    assertEquals(read, read(whole.chars().mapToObj(Character::toString).toList()));
    Random random = new Random(1);
    for (int round = 0; round < 50; round++) {
      List<String> pieces = new ArrayList<>();
      for (int at = 0; at < whole.length(); ) {
        int end = Math.min(whole.length(), at + random.nextInt(25));
        pieces.add(whole.substring(at, end));
        at = end;
      }
      assertEquals(read, read(pieces));
    }
  }

  @Test
  void contentIsHeldBackOnlyWhereACallMayBegin() {
    Reply reader = reply();
    assertEquals("a ", reader.next("a <tool").content());
    assertEquals("<tools <", reader.next("s <<").content());
    assertEquals("", reader.next("tool_call>{\"name\":\"f\",\"arguments\":").content());
    assertEquals(0, reader.next("").calls().size());
    assertEquals("{\"a\"", reader.next("{\"a\"").calls().getFirst().arguments());
    assertTrue(!reader.called());
    assertEquals(":1}", reader.next(":1}}").calls().getFirst().arguments());
    assertTrue(reader.called());
    reader.next("</tool_call><tool_call>{\"name\":\"f\",\"arguments\":{\"a\"");
    assertTrue(!reader.called());
  }

  /** Openers have several bytes per character: a limit on tokens may cut within one. */
  @ParameterizedTest
  @CsvSource({
    "HERMES, ' <tool_c', ''",
    "HERMES, 'a <tool_c', 'a '",
    "HERMES, 'a \uFFFD', 'a \uFFFD'",
    "DEEPSEEK_V31, 'a<｜tool\uFFFD', 'a'",
    "DEEPSEEK_V31, '\n<\uFFFD', ''"
  })
  void aCutOpenerIsNoContent(ReplyForm form, String written, String content) {
    for (int cut = 0; cut <= written.length(); cut++) {
      Reply reply = form.reply(new ByteTokenizer(), false, false, ReplyFamily.FUNCTIONS);
      String said =
          reply.next(written.substring(0, cut)).content()
              + reply.next(written.substring(cut)).content()
              + reply.end(true).content();
      assertEquals(content, said);
    }
  }

  @Test
  void eachCallHasItsId() {
    Reply reader = reply();
    List<FunctionCall.Piece> calls = reader.next(CALL + CALL).calls();
    assertTrue(calls.getFirst().id().matches("call_[0-9a-f]{24}"), calls::toString);
    assertNotEquals(calls.getFirst().id(), calls.getLast().id());
  }
}
