package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class MarkersTest {
  private static final MarkedTokenizer TOKENIZER = new MarkedTokenizer("<|call|>", "[CALLS]");

  @Test
  void aNameThatOtherTokensSpellIsNotTheToken() {
    String text = "a" + Markers.of("<|call|>") + "<|call|>";
    assertEquals("a<|call|>", Markers.without(text));
    assertEquals(1, Markers.next(text, 0));
    assertEquals("<|call|>", Markers.name(text.substring(1, Markers.end(text, 1))));
    assertEquals(-1, Markers.next(text, 2));
    assertEquals(Markers.of("[CALLS]"), Markers.in(TOKENIZER, "[CALLS]"));
    assertEquals("[THINK]", Markers.in(TOKENIZER, "[THINK]"));
  }

  @Test
  void noTextHasAMarkersBytes() {
    byte[] bytes = Markers.bytes(TOKENIZER, 257);
    assertEquals("fe", Integer.toHexString(bytes[0] & 0xff));
    assertArrayEquals(bytes, Markers.bytes(Markers.of("<|call|>")));
    assertArrayEquals("<|call|>é".getBytes(StandardCharsets.UTF_8), Markers.bytes("<|call|>é"));
    assertArrayEquals(new byte[] {'a'}, Markers.bytes(TOKENIZER, 'a'));
    assertArrayEquals(new byte[] {(byte) 0xc0}, Markers.bytes(TOKENIZER, 0xfe));
    assertEquals(0, Markers.bytes(TOKENIZER, TOKENIZER.endOfText()).length);
  }
}
