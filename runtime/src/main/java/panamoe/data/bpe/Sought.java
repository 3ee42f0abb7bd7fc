package panamoe.data.bpe;

/** Which added tokens are looked for in a text. */
public enum Sought {
  NONE,
  ALL_BUT_SPECIAL,
  ALL;

  boolean includes(AddedToken token) {
    return this == ALL || this == ALL_BUT_SPECIAL && !token.special();
  }
}
