package panamoe.grammar;

/**
 * Decodes the characters of a JSON string from bytes: UTF-8 or escapes, with surrogate pairs beyond
 * U+FFFF. The state within a character is one number: its kind above its bits.
 */
final class CharacterBytes {
  /** Between two characters. */
  static final int START = 0;

  /** An impossible byte. Lower numbers are complete characters. */
  static final int NEVER = -1;

  /** The last byte that UTF-8 has. */
  static final int LAST = 0xf4;

  /** A predicate on a range of characters, both ends inclusive. */
  interface Range {
    boolean test(int low, int high);
  }

  private static final int KIND = 26;
  private static final int BITS = (1 << KIND) - 1;

  /** Kinds of UTF-8: 4 (length − 2) + remaining bytes. */
  private static final int UTF8 = 0;

  private static final int ESCAPE = 16;

  /** Kinds of an escape {@code u}: HEX + the number of digits read. */
  private static final int HEX = 17;

  /** A high surrogate was read, and perhaps the backslash of the low one. */
  private static final int HIGH = 21;

  /** Bits of the kind LOW: the high surrogate's, then 16 for the low one's digits. */
  private static final int LOW = 23;

  private static final int[] LEAST = {0x80, 0x800, 0x10000};
  private static final String SHORT = "\"\\/bfnrt";
  private static final String MEANT = "\"\\/\b\f\n\r\t";

  private CharacterBytes() {}

  /**
   * The state after a further byte, which is not the closing quote: a partial or complete
   * character, or {@link #NEVER}.
   */
  static int step(int partial, int value) {
    int kind = partial >>> KIND;
    int bits = partial & BITS;
    if (partial == START) {
      return first(value);
    }
    if (kind < ESCAPE) {
      return (value & 0xc0) != 0x80 ? NEVER : utf8(kind - 1, bits << 6 | value & 0x3f);
    }
    if (kind == ESCAPE) {
      int at = SHORT.indexOf(value);
      return at >= 0 ? whole(MEANT.charAt(at)) : value == 'u' ? partial(HEX, 0) : NEVER;
    }
    if (kind == HIGH || kind == HIGH + 1) {
      boolean right = value == (kind == HIGH ? '\\' : 'u');
      return !right ? NEVER : kind == HIGH ? partial(HIGH + 1, bits) : partial(LOW, bits << 16);
    }
    int digit = value < 0x80 ? Character.digit(value, 16) : -1;
    if (digit < 0) {
      return NEVER;
    }
    return kind < HIGH ? hex(kind + 1, bits << 4 | digit) : low(kind + 1, bits, digit);
  }

  /** The code point of a complete character. */
  static int character(int whole) {
    return -2 - whole;
  }

  /** Whether a predicate holds for some character that a partial one can become. */
  static boolean any(int partial, Range test) {
    int kind = partial >>> KIND;
    int bits = partial & BITS;
    if (kind < ESCAPE) {
      int room = 6 * (kind & 3);
      int low = Math.max(bits << room, LEAST[kind >> 2]);
      int high = Math.min((bits + 1 << room) - 1, Character.MAX_CODE_POINT);
      return low <= high && test.test(low, high);
    }
    if (kind == ESCAPE) {
      return test.test(0, Character.MAX_CODE_POINT);
    }
    if (kind >= HIGH) {
      int high = kind < LOW ? bits : bits >>> 16;
      int digits = kind < LOW ? 0 : kind - LOW;
      int room = 4 * (4 - digits);
      int known = kind < LOW ? 0 : bits & 0xffff;
      int from = Math.max(known << room, Character.MIN_LOW_SURROGATE);
      int to = Math.min((known + 1 << room) - 1, Character.MAX_LOW_SURROGATE);
      return from <= to && test.test(pair(high, from), pair(high, to));
    }
    int room = 4 * (4 - (kind - HEX));
    int from = bits << room;
    int to = (bits + 1 << room) - 1;
    int first = Math.max(from, Character.MIN_HIGH_SURROGATE) - Character.MIN_HIGH_SURROGATE;
    int last = Math.min(to, Character.MAX_HIGH_SURROGATE) - Character.MIN_HIGH_SURROGATE;
    return test.test(from, to)
        || first <= last
            && test.test(
                pair(first, Character.MIN_LOW_SURROGATE), pair(last, Character.MAX_LOW_SURROGATE));
  }

  private static int first(int value) {
    if (value == '\\') {
      return partial(ESCAPE, 0);
    }
    if (value < 0x80) {
      return value < ' ' ? NEVER : whole(value);
    }
    if (value < 0xc2 || value > LAST) {
      return NEVER;
    }
    int length = value < 0xe0 ? 2 : value < 0xf0 ? 3 : 4;
    return utf8((length - 2) * 4 + length - 1, value & (1 << 7 - length) - 1);
  }

  private static int utf8(int kind, int bits) {
    if ((kind & 3) != 0) {
      return partial(UTF8 + kind, bits);
    }
    return bits < LEAST[kind >> 2] || bits > Character.MAX_CODE_POINT ? NEVER : whole(bits);
  }

  private static int hex(int kind, int bits) {
    if (kind < HIGH) {
      return partial(kind, bits);
    }
    return Character.isHighSurrogate((char) bits)
        ? partial(HIGH, bits - Character.MIN_HIGH_SURROGATE)
        : whole(bits);
  }

  private static int low(int kind, int bits, int digit) {
    int low = (bits & 0xffff) << 4 | digit;
    int high = bits >>> 16;
    if (kind < LOW + 4) {
      return partial(kind, high << 16 | low);
    }
    return Character.isLowSurrogate((char) low) ? whole(pair(high, low)) : NEVER;
  }

  /** The code point of a high surrogate, counted from 0, and a low one. */
  private static int pair(int high, int low) {
    return Character.toCodePoint((char) (Character.MIN_HIGH_SURROGATE + high), (char) low);
  }

  private static int partial(int kind, int bits) {
    return kind << KIND | bits;
  }

  /** A complete character. */
  static int whole(int character) {
    return -2 - character;
  }
}
