package panamoe.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.node.NullNode;

class StrictJsonTest {
  /** A checkpoint's manifest is signed by its bytes, so they may not change. */
  @Test
  void bytesStayThoseOfVersion010() {
    byte[] json =
        StrictJson.bytes(
            StrictJson.tree("{\"b/\u00e9\":\"\ud83d\ude00\",\"a\":[1,{}]}".getBytes(UTF_8)));
    assertEquals(
        "{\n  \"b/\u00e9\" : \"\\uD83D\\uDE00\",\n  \"a\" : [ 1, { } ]\n}",
        new String(json, UTF_8));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"a\": 1, \"a\": 2} | a key is there twice: 'a'",
        "{\"it's\": 1, \"it's\": 2} | a key is there twice: 'it's'",
        "{} {} | something follows its end",
        "{\"a\": | it ends too early",
        "[1, | it ends too early"
      })
  void refusesWithAReason(String text, String reason) {
    JacksonException e =
        assertThrows(JacksonException.class, () -> StrictJson.tree(text.getBytes(UTF_8)));
    assertEquals(reason, StrictJson.reason(e));
  }

  @Test
  void refusesATextThatIsTooLong() {
    byte[] text = ('"' + "a".repeat(20_000_001) + '"').getBytes(UTF_8);
    JacksonException e = assertThrows(JacksonException.class, () -> StrictJson.tree(text));
    assertEquals("something in it is too long", StrictJson.reason(e));
  }

  @Test
  void refusesWhatIsNotUtf8() {
    byte[] latin = {'"', (byte) 0xe9, '"'};
    assertEquals(
        "it is not UTF-8",
        StrictJson.reason(assertThrows(JacksonException.class, () -> StrictJson.tree(latin))));
  }

  /** The parser stays at the value's end, so that the caller reads on. */
  @Test
  void aStreamsValueIsReadAlone() {
    try (JsonParser parser =
        StrictJson.parser(new ByteArrayInputStream("[null, [1], 2]".getBytes(UTF_8)))) {
      parser.nextToken();
      parser.nextToken();
      assertEquals(NullNode.getInstance(), parser.readValueAsTree());
      parser.nextToken();
      assertEquals("[1]", parser.readValueAsTree().toString());
      parser.nextToken();
      assertEquals(2, parser.getIntValue());
    }
  }
}
