package panamoe.conversation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.ReplyFamily;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.data.MarkedTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.schedule.HashEngine;
import panamoe.io.DataException;
import tools.jackson.databind.node.JsonNodeFactory;

class ChatFormatTest {
  /** A client may send back a call that a limit has cut. */
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
  void aTemplateThatRendersNothingIsRefused() {
    ChatTemplate empty = ChatTemplate.of("", "t.jinja", Map.of());
    DataException e =
        assertThrows(DataException.class, () -> ChatFormat.of(empty, HashEngine.TOKENIZER));
    assertEquals("t.jinja gives no prompt for a short conversation", e.getMessage());
  }

  @Test
  void callsInAFormThatIsNotReadAreAWarning() {
    String called =
        "a{% for m in messages %}{% for c in m.tool_calls %}BEGIN{{ c.function.name }}"
            + "(side={{ c.function.arguments.side }}){% endfor %}{% endfor %}";
    ChatTemplate python = ChatTemplate.of(called, "t.jinja", Map.of());
    assertEquals(
        "t.jinja shows calls in a form that is not read: replies call in that of hermes instead",
        ChatFormat.of(python, HashEngine.TOKENIZER).toolWarning().orElseThrow());
    ChatTemplate other = ChatTemplate.of("a", "t.jinja", Map.of());
    assertTrue(ChatFormat.of(other, HashEngine.TOKENIZER).toolWarning().isEmpty());
  }

  /** The recorded templates whose form of calls is not read; others show one that is, or none. */
  @Test
  void recordedTemplatesAreReadOrWarnedAbout() {
    Tokenizer harmony =
        new MarkedTokenizer("<|channel|>", "<|start|>", "<|message|>", "<|constrain|>");
    Set<String> warned = new TreeSet<>();
    Set<String> refused = new TreeSet<>();
    for (File file : new File("../lab/golden/templates/text").listFiles()) {
      String name = file.getName().replace(".jinja", "");
      try {
        ChatFormat.of(ReplyFamily.template(name), harmony)
            .toolWarning()
            .ifPresent(warning -> warned.add(name));
      } catch (DataException _) {
        refused.add(name);
      }
    }
    assertEquals(Set.of("MiroThinker", "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use"), refused);
    assertEquals(
        Set.of(
            "Apertus-8B-Instruct",
            "ByteDance-Seed-OSS",
            "GigaChat3-10B-A1.8B",
            "deepseek-ai-DeepSeek-V3.2",
            "deepseek-ai-DeepSeek-V4",
            "meetkai-functionary-medium-v3.1"),
        warned);
  }

  @Test
  void anAnswerEndsAtTheTokenThatTheTemplateWritesBehindIt() {
    // The hash's only token without text is 60, the end of a document; no text spells it.
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

  /** Bytes, with two strings that are the special tokens 7 and 8. */
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
