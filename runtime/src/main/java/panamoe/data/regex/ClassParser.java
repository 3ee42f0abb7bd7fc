package panamoe.data.regex;

/** Parses a character class after its bracket: ranges, properties, nesting and intersections. */
record ClassParser(PatternText text, boolean anyCase, int depth) {
  private static final int MAX_DEPTH = 50;

  ClassParser(PatternText text, boolean anyCase) {
    this(text, anyCase, 1);
  }

  CodeSet parse() {
    if (depth > MAX_DEPTH) {
      throw text.trouble("classes nested more than " + MAX_DEPTH + " deep");
    }
    boolean negated = text.take('^');
    CodeSet earlier = null;
    CodeSet set = CodeSet.EMPTY;
    boolean nests = text.syntax == Syntax.ONIGURUMA;
    // A ] at the beginning is one of its members.
    boolean first = nests;
    while (first || text.peek() != ']') {
      if (nests && text.take("&&")) {
        earlier = earlier == null ? set : earlier.intersection(set);
        set = CodeSet.EMPTY;
      } else {
        set = set.union(item(nests));
      }
      first = false;
    }
    text.next();
    set = earlier == null ? set : earlier.intersection(set);
    // Case variants are added before the class is negated.
    set = anyCase ? CodeSets.anyCase(set) : set;
    return negated ? set.complement() : set;
  }

  private CodeSet item(boolean nests) {
    if (nests && text.take("[:")) {
      throw text.trouble("a POSIX bracket [:");
    }
    if (nests && text.take('[')) {
      return new ClassParser(text, anyCase, depth + 1).parse();
    }
    CodeSet first = member();
    int before = text.position();
    if (text.take('-') && text.peek() != ']' && !(nests && text.peek() == '[')) {
      CodeSet last = member();
      if (!first.isSingle() || !last.isSingle() || low(first) > low(last)) {
        throw text.trouble("a range without two ends in order");
      }
      return CodeSet.range(low(first), low(last));
    }
    text.position(before);
    return first;
  }

  private CodeSet member() {
    int c = text.next();
    if (c == '\\') {
      return text.take('b') ? CodeSet.of('\b') : text.escaped();
    }
    return CodeSet.of(c);
  }

  private static int low(CodeSet set) {
    return set.changes()[0];
  }
}
