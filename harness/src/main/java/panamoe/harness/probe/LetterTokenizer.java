package panamoe.harness.probe;

import panamoe.data.Tokenizer;

/** The tokenizer of models with random weights: every token is a letter. */
public record LetterTokenizer(int vocabularySize) implements Tokenizer {
  private static final byte[] LETTER = {'a'};

  @Override
  public int[] encode(String text) {
    return new int[text.length()];
  }

  @Override
  public byte[] bytesOf(int token) {
    return LETTER;
  }

  @Override
  public int endOfText() {
    return 0;
  }

  @Override
  public String sha256() {
    return "";
  }
}
