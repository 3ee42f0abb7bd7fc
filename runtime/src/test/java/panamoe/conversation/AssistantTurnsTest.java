package panamoe.conversation;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.ReplyFamily;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.TemplateException;
import panamoe.data.ByteTokenizer;
import panamoe.data.MarkedTokenizer;
import panamoe.data.PackedExamples;
import panamoe.data.Tokenizer;
import panamoe.io.DataException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class AssistantTurnsTest {
  private static final Tokenizer TOKENIZER =
      new MarkedTokenizer(
          "<think>",
          "</think>",
          "<tool_call>",
          "<｜end▁of▁sentence｜>",
          "<|user|>",
          "<|observation|>",
          "<|im_end|>",
          "<|end|>",
          "<|return|>",
          "<|call|>",
          "<|eot_id|>",
          "<|eom_id|>",
          "<|end_of_text|>",
          "<end_of_turn>",
          "<|message_sep|>\n\n",
          "</s>",
          "<|assistant_end|>",
          "<seed:eos>",
          "[INST]",
          "[/INST]");

  private static final ObjectNode NO_VARIABLES = JsonNodeFactory.instance.objectNode();

  private static final Conversation PLAIN =
      new Conversation(
          List.of(
              Message.of("user", "Hi"),
              Message.of("assistant", "HELLO"),
              Message.of("user", "More"),
              Message.of("assistant", "SURE")),
          Tools.NONE);

  private static final Conversation THINKING =
      new Conversation(
          List.of(
              Message.of("user", "Hi"),
              new Message("assistant", "HELLO", null, "THINK1", List.of(), null),
              Message.of("user", "More"),
              new Message("assistant", "SURE", null, "THINK2", List.of(), null)),
          Tools.NONE);

  /** A call, its result, and a second question. */
  private static Conversation calling() {
    FunctionCall call = new FunctionCall("c1abcdefg", "vote", "{\"side\": \"ayes\"}");
    ObjectNode schema =
        (ObjectNode)
            JsonMapper.shared()
                .readTree(
                    "{\"type\": \"object\", \"properties\": {\"side\": {\"type\": \"string\"}}}");
    return new Conversation(
        List.of(
            Message.of("user", "Vote"),
            new Message("assistant", "", null, null, List.of(call), null),
            new Message("tool", "17", "vote", null, List.of(), call.id()),
            Message.of("assistant", "DONE"),
            Message.of("user", "Thanks"),
            Message.of("assistant", "BYE")),
        Tools.of(List.of(new Tools.Function("vote", "Votes.", schema)), false, true));
  }

  /** The trained texts of each example, in angle quotes; a bar between examples. */
  private static String trained(ChatFormat format, Conversation conversation) {
    return AssistantTurns.examples(format, conversation, NO_VARIABLES).stream()
        .map(AssistantTurnsTest::shown)
        .collect(Collectors.joining(" | "));
  }

  private static String shown(PackedExamples.Example example) {
    StringBuilder spans = new StringBuilder();
    for (int from = example.targets().nextSetBit(0); from >= 0; ) {
      int to = example.targets().nextClearBit(from);
      spans
          .append(spans.isEmpty() ? "" : " ")
          .append('‹')
          .append(text(Arrays.copyOfRange(example.tokens(), from, to)))
          .append('›');
      from = example.targets().nextSetBit(to);
    }
    return spans.toString();
  }

  /** With the names of special tokens, and an arrow for a new line. */
  private static String text(int[] tokens) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int token : tokens) {
      byte[] own = TOKENIZER.bytesOf(token);
      bytes.writeBytes(
          token == TOKENIZER.endOfText()
              ? "END".getBytes(UTF_8)
              : own.length == 0 ? TOKENIZER.special(token).getBytes(UTF_8) : own);
    }
    return bytes.toString(UTF_8).replace("\n", "↵");
  }

  /** What each recorded template trains, as it was read by a person. */
  @Test
  void theAssistantsWordsAreTrainedInEveryRecordedTemplate() throws IOException {
    StringBuilder found = new StringBuilder();
    for (File file : sorted(new File("../lab/golden/templates/text").listFiles())) {
      String name = file.getName().replace(".jinja", "");
      found.append(name).append('\n');
      for (Map.Entry<String, Conversation> each :
          List.of(
              Map.entry("plain", PLAIN),
              Map.entry("thoughts", THINKING),
              Map.entry("calls", calling()))) {
        found.append("  ").append(each.getKey()).append(": ");
        try {
          found.append(
              trained(ChatFormat.of(ReplyFamily.template(name), TOKENIZER), each.getValue()));
        } catch (DataException | TemplateException | IllegalArgumentException e) {
          found.append("refused: ").append(e.getMessage().replace("\n", "↵"));
        }
        found.append('\n');
      }
    }
    Path golden = Path.of("src/test/resources/golden/assistant-turns.txt");
    assertEquals(Files.readString(golden), found.toString());
  }

  private static List<File> sorted(File... files) {
    return Arrays.stream(files).sorted().toList();
  }

  @Test
  void linesHaveNoMarkersAndEndTheText() {
    assertEquals("‹ HELLO↵END› | ‹ SURE↵END›", trained(ChatFormat.lines(TOKENIZER), PLAIN));
  }

  /** GLM ends a turn by the token that begins the next one. */
  @Test
  void theNextMessagesTokenEndsATurnIfTheModelStopsThere() {
    ChatTemplate template =
        ChatTemplate.of(
            "{% for m in messages %}{{ '[INST]' if m.role == 'user' else '[/INST]' }}{{ m.content }}"
                + "{% endfor %}{{ '[/INST]' if add_generation_prompt }}",
            "t", Map.of("eos_token", "[INST]"));
    assertEquals("‹HELLO[INST]› ‹SUREEND›", trained(ChatFormat.of(template, TOKENIZER), PLAIN));
  }

  /** Two turns in succession, the second of which the template does not write. */
  @Test
  void aTurnWithoutTextIsItsEnd() {
    ChatTemplate template =
        ChatTemplate.of("{% for m in messages %}{{ m.content }}{% endfor %}", "t", Map.of());
    Conversation silent =
        new Conversation(
            List.of(
                Message.of("user", "Hi"),
                Message.of("assistant", "HELLO"),
                Message.of("assistant", "")),
            Tools.NONE);
    assertEquals("‹HELLOEND› | ‹END›", trained(ChatFormat.of(template, TOKENIZER), silent));
  }

  @Test
  void aTemplateThatHidesTheTurnIsRefused() {
    ChatTemplate last = ChatTemplate.of("{{ messages[-1].content }}", "t.jinja", Map.of());
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> trained(ChatFormat.of(last, new ByteTokenizer()), PLAIN));
    assertEquals("t.jinja does not show where message 2, the assistant's, begins", e.getMessage());
  }

  @Test
  void aMessageOfWeight0IsContextAlone() {
    BitSet first = new BitSet();
    first.set(1);
    Conversation weighted = new Conversation(PLAIN.messages(), first, Tools.NONE);
    assertEquals("‹ SURE↵END›", trained(ChatFormat.lines(TOKENIZER), weighted));
  }

  @Test
  void aConversationWithoutAnAnswerIsRefused() {
    Conversation silent =
        new Conversation(
            List.of(Message.of("assistant", "Welcome"), Message.of("user", "Hi")), Tools.NONE);
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> trained(ChatFormat.lines(TOKENIZER), silent));
    assertEquals("no message of the assistant answers another one", e.getMessage());
  }
}
