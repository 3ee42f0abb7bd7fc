package panamoe.data.regex;

/** The dialect of a pattern, which defines escapes and the dot. */
public enum Syntax {
  /** For {@code tokenizer.json}; escapes follow Unicode. */
  ONIGURUMA(10_000, CodeSets.DIGIT, CodeSets.WORD, CodeSets.SPACE, CodeSet.of('\n')),

  /** For JSON Schema: searched for in a string unless anchored; the tree matches whole strings. */
  JAVASCRIPT(
      2000,
      CodeSet.range('0', '9'),
      CodeSet.anyOf(
          CodeSet.range('0', '9'),
          CodeSet.range('A', 'Z'),
          CodeSet.range('a', 'z'),
          CodeSet.of('_')),
      CodeSets.SPACE.intersection(CodeSet.of(0x85).complement()).union(CodeSet.of(0xfeff)),
      CodeSet.anyOf(CodeSet.of('\n'), CodeSet.of('\r'), CodeSet.range(0x2028, 0x2029)));

  final int maxLength;
  final CodeSet digit;
  final CodeSet word;
  final CodeSet space;
  final CodeSet lineEnd;

  Syntax(int maxLength, CodeSet digit, CodeSet word, CodeSet space, CodeSet lineEnd) {
    this.maxLength = maxLength;
    this.digit = digit;
    this.word = word;
    this.space = space;
    this.lineEnd = lineEnd;
  }
}
