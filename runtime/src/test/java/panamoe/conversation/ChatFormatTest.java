package panamoe.conversation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.data.DataException;
import panamoe.data.Tokenizer;
import panamoe.engine.schedule.HashEngine;
import tools.jackson.databind.node.JsonNodeFactory;

class ChatFormatTest {
  /** A client may have sent a call on that a limit has cut. */
  @Test
  void argumentsThatAreNoObjectAreRefused() {
    FunctionCall call = new FunctionCall("c1", "vote", "{\"side\": ");
    Message calling = new Message("assistant", "", null, null, List.of(call), null);
    ChatTemplate template = ChatTemplate.of("{{ messages[0].content }}", "t", Map.of());
    for (ChatFormat format :
        List.of(
            ChatFormat.lines(new ByteTokenizer()), ChatFormat.of(template, new ByteTokenizer()))) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  format.prompt(
                      List.of(calling), Tools.NONE, JsonNodeFactory.instance.objectNode()));
      assertEquals(
          "the arguments of the call c1 are not the text of a JSON object", refused.getMessage());
    }
  }

  @Test
  void aTemplateThatFailsOnAShortConversationIsRefused() {
    ChatTemplate broken = ChatTemplate.of("\n{{ messages[0].text.strip() }}", "t.jinja", Map.of());
    DataException e =
        assertThrows(DataException.class, () -> ChatFormat.of(broken, HashEngine.TOKENIZER));
    assertEquals(
        "t.jinja gives no prompt for a short conversation: line 2: 'dict object' has no attribute"
            + " 'text'",
        e.getMessage());
  }

  @Test
  void anAnswerEndsAtTheTokenThatTheTemplateWritesBehindIt() {
    // The hash's only token without text is 60, which ends a document; a text spells none.
    ChatTemplate plain =
        ChatTemplate.of("{% for m in messages %}{{ m.content }}.{% endfor %}", "t", Map.of());
    assertEquals(ChatFormat.Ends.NONE, ChatFormat.of(plain, HashEngine.TOKENIZER).ends());
    ChatTemplate template =
        ChatTemplate.of(
            "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}",
            "t", Map.of("eos_token", "<|stop|>"));
    assertEquals(
        Set.of(7, 8), ChatFormat.of(template, new Marked("<|end|>", "<|stop|>")).ends().tokens());
  }

  /** Bytes, but two texts are the tokens 7 and 8, which have none. */
  private record Marked(String seven, String eight) implements Tokenizer {
    private static final ByteTokenizer BYTES = new ByteTokenizer();

    @Override
    public int[] encode(String text) {
      return BYTES.encode(text);
    }

    @Override
    public int[] encodeWithSpecialTokens(String text, BitSet literal) {
      return text.equals(seven) ? new int[] {7} : text.equals(eight) ? new int[] {8} : encode(text);
    }

    @Override
    public byte[] bytesOf(int token) {
      return token == 7 || token == 8 ? new byte[0] : BYTES.bytesOf(token);
    }

    @Override
    public int vocabularySize() {
      return BYTES.vocabularySize();
    }

    @Override
    public int endOfText() {
      return BYTES.endOfText();
    }

    @Override
    public String sha256() {
      return BYTES.sha256();
    }
  }
}
