package panamoe.data;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/** Bytes, an end of text, and special tokens by name. */
public final class MarkedTokenizer implements Tokenizer {
  private static final ByteTokenizer BYTES = new ByteTokenizer();

  private final List<String> names;

  public MarkedTokenizer(String... names) {
    this.names = List.of(names);
  }

  @Override
  public int[] encode(String text) {
    return BYTES.encode(text);
  }

  @Override
  public int[] encodeWithSpecialTokens(String text, BitSet literal) {
    List<Integer> tokens = new ArrayList<>();
    for (int at = 0; at < text.length(); ) {
      int found = -1;
      for (int i = 0; i < names.size(); i++) {
        int literally = literal.nextSetBit(at);
        boolean free = literally < 0 || literally >= at + names.get(i).length();
        found = free && text.startsWith(names.get(i), at) ? i : found;
      }
      int end =
          at + (found < 0 ? Character.charCount(text.codePointAt(at)) : names.get(found).length());
      if (found >= 0) {
        tokens.add(BYTES.vocabularySize() + found);
      } else {
        for (int token : encode(text.substring(at, end))) {
          tokens.add(token);
        }
      }
      at = end;
    }
    return tokens.stream().mapToInt(Integer::intValue).toArray();
  }

  @Override
  public String special(int token) {
    return token < BYTES.vocabularySize() ? "" : names.get(token - BYTES.vocabularySize());
  }

  @Override
  public byte[] bytesOf(int token) {
    return token < BYTES.vocabularySize() ? BYTES.bytesOf(token) : new byte[0];
  }

  @Override
  public int vocabularySize() {
    return BYTES.vocabularySize() + names.size();
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
