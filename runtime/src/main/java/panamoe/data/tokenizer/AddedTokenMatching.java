package panamoe.data.tokenizer;

/** Which added tokens are matched in a text. */
public enum AddedTokenMatching {
  NONE,
  ALL_BUT_SPECIAL,
  ALL;

  boolean includes(AddedToken token) {
    return this == ALL || this == ALL_BUT_SPECIAL && !token.special();
  }
}
