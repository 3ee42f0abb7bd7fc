package panamoe.train;

import panamoe.data.Tokenizer;

/** As many tokens as the model of {@link TrainerBench} knows. */
final class Tokens16 implements Tokenizer {
  @Override
  public int[] encode(String text) {
    throw new UnsupportedOperationException();
  }

  @Override
  public byte[] bytesOf(int token) {
    return new byte[1];
  }

  @Override
  public int vocabularySize() {
    return SyntheticSequences.VOCABULARY;
  }

  @Override
  public int endOfText() {
    return 0;
  }

  @Override
  public String sha256() {
    return "16";
  }
}
