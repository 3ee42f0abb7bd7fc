package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import panamoe.io.StrictJson;
import tools.jackson.databind.node.ObjectNode;

/** A mask has the tokens whose bytes may come, one by one, and no others. */
class TokenMasksTest {
  private static final PieceTokenizer TOKENIZER = new PieceTokenizer(new Random(7), 2000);
  private static final TokenMasks MASKS = TokenMasks.of(TOKENIZER);

  @Test
  void aMaskHasTheTokensThatMayCome() throws IOException {
    Random random = new Random(8);
    RandomSchemas schemas = new RandomSchemas(random);
    List<String> texts =
        List.of(
            "{'type': 'string', 'minLength': 30, 'maxLength': 90}",
            "{'type': 'array', 'items': {'type': 'string', 'maxLength': 4}, 'maxItems': 3}",
            "{'anyOf': [{'type': 'string', 'pattern': 'a+$'}, {'type': 'string', 'maxLength': 3}]}",
            "{'properties': {'a': {}, 'key 1': {'type': 'string'}}, 'type': 'object'}");
    for (int i = 0; i < 60; i++) {
      JsonGrammar grammar;
      try {
        grammar = JsonGrammar.of(i < texts.size() ? schema(texts.get(i)) : schemas.next());
      } catch (IllegalArgumentException e) {
        continue;
      }
      TokenConstraint constraint = grammar.constraint(MASKS).get();
      State state = grammar.start();
      for (int step = 0; step < 40; step++) {
        BitSet allowed = constraint.allowed();
        assertEquals(oneByOne(state), allowed);
        int token = any(allowed, random);
        if (token == TOKENIZER.endOfText()) {
          break;
        }
        state = after(state, token);
        constraint.accept(token);
      }
    }
  }

  @Test
  void aWholeTextMayOnlyEnd() {
    for (String text : List.of("{\"a\":1}", "{}")) {
      TokenConstraint constraint = JsonGrammar.anyObject().constraint(MASKS).get();
      for (int token : TOKENIZER.encode(text)) {
        assertFalse(constraint.allowed().get(TOKENIZER.endOfText()));
        constraint.accept(token);
      }
      assertEquals(1, constraint.allowed().cardinality());
      assertTrue(constraint.allowed().get(TOKENIZER.endOfText()));
    }
  }

  @Test
  void aTokenThatMayNotComeIsRefused() {
    TokenConstraint constraint = JsonGrammar.anyObject().constraint(MASKS).get();
    int special = 256;
    for (int token : new int[] {'[', ' ', special, TOKENIZER.endOfText()}) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> constraint.accept(token)).getMessage();
      assertEquals("token " + token + " is not allowed here", message);
      assertFalse(constraint.allowed().get(token));
    }
    constraint.accept('{');
  }

  @Test
  void masksAreKeptForOtherTextsAndOtherLengths() throws IOException {
    JsonGrammar grammar =
        JsonGrammar.of(schema("{'type': 'string', 'minLength': 5, 'maxLength': 500}"));
    TokenConstraint one = grammar.constraint(MASKS).get();
    TokenConstraint other = grammar.constraint(MASKS).get();
    assertSame(one.allowed(), other.allowed());
    one.accept('"');
    other.accept('"');
    IntStream.range(0, 100).forEach(i -> one.accept('x'));
    IntStream.range(0, 300).forEach(i -> other.accept('y'));
    assertSame(one.allowed(), other.allowed());
    IntStream.range(0, 195).forEach(i -> other.accept('y'));
    assertFalse(one.allowed().equals(other.allowed()));
  }

  @ParameterizedTest
  @CsvSource({
    "^é$, \\Ã u 0 0 Ee 9 \"",
    "^😀$, \\ð u Dd 8 3 Dd \\ u Dd Ee 0 0 \"",
    "^[Ā-ſȀ]$, \\ÄÅÈ u 0 12 01234567"
  })
  void aPartOfACharacterLeadsToOneThatIsAllowed(String pattern, String steps) throws IOException {
    ByteTokenizer bytes = new ByteTokenizer();
    ObjectNode schema = schema("{'type': 'string'}").put("pattern", pattern);
    TokenConstraint constraint = JsonGrammar.of(schema).constraint(TokenMasks.of(bytes)).get();
    constraint.accept('"');
    for (String step : steps.split(" ")) {
      // Letters stand for the bytes that may come; the first one is taken.
      BitSet expected = new BitSet();
      step.chars().forEach(expected::set);
      assertEquals(expected, constraint.allowed(), step);
      constraint.accept(step.charAt(0));
    }
  }

  @Test
  void threadsShareMasks() {
    JsonGrammar grammar = JsonGrammar.anyObject();
    List<byte[]> texts =
        IntStream.range(0, 64)
            .parallel()
            .mapToObj(i -> new RandomWriter(TOKENIZER, new Random(i % 8), 40))
            .map(writer -> writer.write(grammar.constraint(MASKS).get()))
            .toList();
    for (int i = 0; i < texts.size(); i++) {
      assertArrayEquals(texts.get(i % 8), texts.get(i));
    }
  }

  @Test
  void aTokenizerNeedsEveryByte() {
    ByteTokenizer bytes = new ByteTokenizer();
    Tokenizer without =
        (Tokenizer)
            Proxy.newProxyInstance(
                Tokenizer.class.getClassLoader(),
                new Class<?>[] {Tokenizer.class},
                (proxy, method, arguments) ->
                    method.getName().equals("bytesOf") && arguments[0].equals((int) '}')
                        ? new byte[] {'}', '}'}
                        : method.invoke(bytes, arguments));
    assertEquals(
        "the tokenizer has no token for the byte 125 alone: it cannot keep to a grammar",
        assertThrows(IllegalArgumentException.class, () -> TokenMasks.of(without)).getMessage());
  }

  @Test
  void readingsAreBounded() throws IOException {
    // Each level can be read in two ways that only its end tells apart.
    String level = "{'type': 'object', 'properties': {'a': {'$ref': '#'}, '%s': {}}}";
    String closed = level.replace("}}}", "}}, 'additionalProperties': false}");
    JsonGrammar grammar =
        JsonGrammar.of(
            schema(
                "{'anyOf': [{'type': 'null'}, "
                    + closed.formatted("b")
                    + ", "
                    + closed.formatted("c")
                    + "]}"));
    State state = grammar.start();
    for (int depth = 0; depth < 20; depth++) {
      for (byte value : "{\"a\":".getBytes(UTF_8)) {
        state = state.step(value & 0xff);
        assertTrue(state.stacks().length <= State.MOST_STACKS);
      }
    }
    String text = "{\"a\":".repeat(20) + "null" + "}".repeat(20);
    assertTrue(grammar.accepts(text.getBytes(UTF_8)));
    ObjectNode strings = schema("{'anyOf': []}");
    IntStream.range(1, 40)
        .forEach(
            i -> strings.withArray("anyOf").addObject().put("type", "string").put("maxLength", i));
    State within = JsonGrammar.of(strings).start().step('"');
    assertEquals(State.MOST_TEXTS, within.stacks().length);
    assertTrue(JsonGrammar.of(strings).accepts("\"a\"".getBytes(UTF_8)));
  }

  private static BitSet oneByOne(State state) {
    BitSet mask = new BitSet();
    for (int token = 0; token < TOKENIZER.vocabularySize(); token++) {
      mask.set(token, TOKENIZER.bytesOf(token).length > 0 && after(state, token) != null);
    }
    mask.set(TOKENIZER.endOfText(), state.mayEnd());
    return mask;
  }

  private static State after(State state, int token) {
    State after = state;
    for (byte value : TOKENIZER.bytesOf(token)) {
      after = after == null ? null : after.step(value & 0xff);
    }
    return after;
  }

  private static int any(BitSet allowed, Random random) {
    int[] tokens = allowed.stream().toArray();
    return tokens[random.nextInt(tokens.length)];
  }

  private static ObjectNode schema(String json) throws IOException {
    return (ObjectNode) StrictJson.tree(json.replace('\'', '"').getBytes(UTF_8));
  }
}
