package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.reply.ReplyForm;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class CallGrammarTest {
  private static final CallMarkup HERMES = ReplyForm.HERMES.calls(new ByteTokenizer());
  private static final String COUNT =
      "<tool_call>{\"name\": \"count\", \"arguments\": {}}</tool_call>";
  private static final String MARK =
      "<tool_call>\n{\"name\":\"mark\",\"arguments\":{\"of\":{\"of\":null}}}\n</tool_call>";
  private static final JsonGrammar YES = JsonGrammar.of(json("{\"const\": \"yes\"}"));

  private static JsonNode json(String text) {
    return JsonMapper.shared().readTree(text);
  }

  /** Two functions; the schema of one refers to itself. */
  private static Map<String, JsonNode> functions() {
    return new TreeMap<>(
        Map.of(
            "count",
            json("{\"type\": \"object\", \"additionalProperties\": false}"),
            "mark",
            json(
                "{\"type\": \"object\", \"properties\": {\"of\": {\"anyOf\": [{\"$ref\": \"#\"},"
                    + " {\"type\": \"null\"}]}}, \"required\": [\"of\"],"
                    + " \"additionalProperties\": false}")));
  }

  private static boolean accepts(boolean several, String text) {
    return CallGrammar.of(HERMES, functions(), several).accepts(text.getBytes(UTF_8));
  }

  @Test
  void callsKeepToTheirFunctions() {
    assertTrue(accepts(false, COUNT));
    assertTrue(accepts(false, " " + MARK));
    assertTrue(accepts(true, MARK + COUNT + "\n" + MARK));
    assertFalse(accepts(false, COUNT + COUNT));
    assertFalse(accepts(true, COUNT + "\n"));
    assertFalse(accepts(true, COUNT.replace("count", "mark")));
    assertFalse(accepts(true, MARK.replace("mark", "count")));
    assertFalse(accepts(true, COUNT.replace("count", "coun")));
    assertFalse(accepts(true, "No: " + COUNT));
  }

  @Test
  void theSchemaThatCannotBeKeptToIsNamed() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> CallGrammar.of(HERMES, Map.of("f", json("{\"not\": {}}")), true));
    assertTrue(
        refused.getMessage().startsWith("function f: the schema's \"not\""), refused::toString);
  }

  private static byte[] random(
      Supplier<TokenConstraint> constraint, Tokenizer tokenizer, int seed) {
    return new RandomWriter(tokenizer, new Random(seed), 80).write(constraint.get());
  }

  @Test
  void whatIsWrittenIsCallsOrTheJson() {
    Tokenizer tokenizer = new PieceTokenizer(new Random(5), 300);
    TokenMasks masks = TokenMasks.of(tokenizer);
    CallGrammar grammar = CallGrammar.of(HERMES, functions(), true);
    int json = 0;
    for (int seed = 0; seed < 40; seed++) {
      assertTrue(grammar.accepts(random(grammar.calls(masks), tokenizer, seed)));
      byte[] either = random(grammar.callsOr(YES, masks), tokenizer, seed);
      json += YES.accepts(either) ? 1 : 0;
      assertTrue(YES.accepts(either) || grammar.accepts(either), () -> new String(either, UTF_8));
    }
    assertTrue(json > 0 && json < 40, json + " of 40 are JSON");
  }

  /** Whatever is written between tags is read as calls whose arguments keep to the schema. */
  @ParameterizedTest
  @EnumSource(
      value = ReplyForm.class,
      names = {"GLM", "MINIMAX", "QWEN_CODER"})
  void whatIsWrittenBetweenTagsIsRead(ReplyForm form) {
    Tokenizer tokenizer = new PieceTokenizer(new Random(8), 300);
    TokenMasks masks = TokenMasks.of(tokenizer);
    Map<String, JsonNode> functions =
        Map.of(
            "mark",
            json(
                "{\"type\": \"object\", \"properties\": {\"count\": {\"type\": \"integer\"},"
                    + " \"unit\": {\"enum\": [\"c\", \"f\"]}, \"word\": {\"type\": \"string\","
                    + " \"minLength\": 1, \"maxLength\": 3}, \"of\": {\"$ref\": \"#/$defs/of\"}},"
                    + " \"$defs\": {\"of\": {\"type\": \"array\", \"items\": {\"$ref\":"
                    + " \"#/$defs/of\"}}}, \"required\": [\"unit\"]}"));
    CallGrammar grammar = CallGrammar.of(form.calls(tokenizer), functions, true);
    JsonGrammar arguments = JsonGrammar.of(functions.get("mark"));
    int members = 0;
    for (int seed = 0; seed < 20; seed++) {
      String text = new String(random(grammar.calls(masks), tokenizer, seed), UTF_8);
      Reply reply = form.reply(tokenizer, false, false, functions);
      reply.next(text);
      assertEquals("", reply.end(false).content());
      assertEquals("", reply.content(), text);
      assertTrue(reply.called(), text);
      for (FunctionCall call : reply.calls()) {
        assertTrue(arguments.accepts(call.object().toString().getBytes(UTF_8)), text);
        members += call.object().size();
      }
    }
    assertTrue(members > 20, members + " members");
  }

  /** Tokens may be any parts of the marker and the text around it. */
  @ParameterizedTest
  @ValueSource(strings = {"", "Well, a <tool", "<<tool_call", "<tool_<tool_call", "<tool_call}"})
  void freeTextGoesOnByTheGrammarAfterTheMarker(String before) {
    Tokenizer tokenizer = new PieceTokenizer(new Random(6), 100);
    TokenMasks masks = TokenMasks.of(tokenizer);
    CallGrammar grammar = CallGrammar.of(HERMES, functions(), false);
    TokenConstraint constraint =
        grammar.callsAfter(CallGrammar.freeText(tokenizer, HERMES), masks).get();
    for (byte next : (before + "<tool_call>").getBytes(UTF_8)) {
      BitSet allowed = constraint.allowed();
      assertEquals(tokenizer.vocabularySize(), allowed.cardinality(), "all tokens");
      constraint.accept(next & 0xff);
    }
    byte[] rest = new RandomWriter(tokenizer, new Random(7), 80).write(constraint);
    assertTrue(grammar.accepts(("<tool_call>" + new String(rest, UTF_8)).getBytes(UTF_8)));
  }

  /** Of a token with bytes after the marker the grammar would have to read a part. */
  @Test
  void noTokenGoesOverTheMarkersEnd() {
    String[] words = {"<tool_call>", "call>", "call>{", "ca", "ll>x", ">>", "<tool_call>{"};
    Tokenizer tokenizer = new WordTokenizer(words);
    TokenMasks masks = TokenMasks.of(tokenizer);
    CallGrammar grammar = CallGrammar.of(HERMES, functions(), false);
    FreeText free = CallGrammar.freeText(tokenizer, HERMES);
    TokenConstraint constraint = grammar.callsAfter(free, masks).get();
    assertEquals("1111110", allowed(constraint, words));
    for (byte next : "<tool_".getBytes(UTF_8)) {
      constraint.accept(next & 0xff);
    }
    assertEquals("1101110", allowed(constraint, words));
    constraint.accept(256 + 3);
    assertEquals("1111010", allowed(constraint, words));
    constraint.accept('l');
    constraint.accept('l');
    assertEquals("1111100", allowed(constraint, words));
    constraint.accept('>');
    assertFalse(constraint.allowed().get(tokenizer.endOfText()));
    assertEquals(2, constraint.allowed().cardinality(), "a new line or a brace");
  }

  private static String allowed(TokenConstraint constraint, String[] words) {
    StringBuilder bits = new StringBuilder();
    for (int i = 0; i < words.length; i++) {
      bits.append(constraint.allowed().get(256 + i) ? '1' : '0');
    }
    return bits.toString();
  }

  /** The bytes, some words, and the end. */
  private record WordTokenizer(String[] words) implements Tokenizer {
    @Override
    public int[] encode(String text) {
      throw new UnsupportedOperationException();
    }

    @Override
    public byte[] bytesOf(int token) {
      if (token < 256) {
        return new byte[] {(byte) token};
      }
      return token == endOfText() ? new byte[0] : words[token - 256].getBytes(UTF_8);
    }

    @Override
    public int vocabularySize() {
      return 256 + words.length + 1;
    }

    @Override
    public int endOfText() {
      return 256 + words.length;
    }

    @Override
    public String sha256() {
      return "";
    }
  }
}
