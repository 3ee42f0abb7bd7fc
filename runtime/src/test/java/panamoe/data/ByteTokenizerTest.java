package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ByteTokenizerTest {
  private final ByteTokenizer tokenizer = new ByteTokenizer();

  @ParameterizedTest
  @ValueSource(strings = {"", "plain", "aé€😀", "a\u0000b", "<|endoftext|>", "👩‍👩‍👧‍👦 שלום"})
  void tokensAreTheBytes(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] tokens = tokenizer.encode(text);
    assertEquals(bytes.length, tokens.length);
    for (int i = 0; i < tokens.length; i++) {
      assertArrayEquals(new byte[] {bytes[i]}, tokenizer.bytesOf(tokens[i]));
    }
    assertEquals(text, tokenizer.decode(tokens));
  }

  @Test
  void loneSurrogatesBecomeReplacementCharacters() {
    assertEquals("a\ufffdb\ufffd", tokenizer.decode(tokenizer.encode("a\ud83db\ude00")));
  }

  @Test
  void everyByteHasItsToken() {
    for (int token = 0; token < 256; token++) {
      assertArrayEquals(new byte[] {(byte) token}, tokenizer.bytesOf(token));
    }
    assertEquals(257, tokenizer.vocabularySize());
    assertEquals(256, tokenizer.endOfText());
    assertEquals(0, tokenizer.bytesOf(256).length);
    assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.bytesOf(257));
    assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.bytesOf(-1));
  }
}
