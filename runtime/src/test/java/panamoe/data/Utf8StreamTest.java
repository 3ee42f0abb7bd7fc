package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class Utf8StreamTest {
  private static final String TEXT = "aé\u0000€😀👩‍👩‍👧‍👦שלום e\u0301 \ufffd z";

  @Test
  void holdsCharactersBackUntilTheyAreComplete() {
    Utf8Stream stream = new Utf8Stream();
    byte[] emoji = "😀".getBytes(StandardCharsets.UTF_8);
    assertEquals("", stream.append(Arrays.copyOf(emoji, 1)));
    assertEquals("", stream.append(Arrays.copyOfRange(emoji, 1, 3)));
    assertEquals("😀!", stream.append(new byte[] {emoji[3], '!'}));
    assertEquals("", stream.end());
  }

  @Test
  void anySplitGivesTheSameText() {
    byte[] bytes = TEXT.getBytes(StandardCharsets.UTF_8);
    Random random = new Random(1);
    for (int round = 0; round < 1000; round++) {
      Utf8Stream stream = new Utf8Stream();
      StringBuilder text = new StringBuilder();
      for (int from = 0; from < bytes.length; ) {
        int to = Math.min(bytes.length, from + random.nextInt(6));
        String part = stream.append(Arrays.copyOfRange(bytes, from, to));
        assertFalse(!part.isEmpty() && Character.isHighSurrogate(part.charAt(part.length() - 1)));
        text.append(part);
        from = to;
      }
      assertEquals(TEXT, text.append(stream.end()).toString());
    }
  }

  /** Any split of arbitrary bytes decodes like the whole with the platform's decoder. */
  @Test
  void invalidBytesBecomeReplacementCharacters() {
    Random random = new Random(2);
    for (int round = 0; round < 2000; round++) {
      byte[] bytes = new byte[random.nextInt(20)];
      random.nextBytes(bytes);
      Utf8Stream stream = new Utf8Stream();
      StringBuilder text = new StringBuilder();
      for (byte value : bytes) {
        text.append(stream.append(new byte[] {value}));
      }
      assertEquals(new String(bytes, StandardCharsets.UTF_8), text.append(stream.end()).toString());
    }
  }

  @Test
  void incompleteEndIsReplacedOnceAndTheStreamIsReady() {
    Utf8Stream stream = new Utf8Stream();
    assertEquals("", stream.append(new byte[] {(byte) 0xf0, (byte) 0x9f}));
    assertEquals("\ufffd", stream.end());
    assertEquals("x", stream.append(new byte[] {'x'}));
  }
}
