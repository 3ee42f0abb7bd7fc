package panamoe.data.tokenizer;

/** The added tokens to match in a text. */
public enum AddedTokenMatching {
  NONE,
  ALL_BUT_SPECIAL,
  ALL;

  boolean includes(AddedToken token) {
    return this == ALL || this == ALL_BUT_SPECIAL && !token.special();
  }
}
