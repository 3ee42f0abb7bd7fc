package panamoe.backend.abi;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/** The letters of an {@link AbiSignature} in one call, and a route table that fits them. */
final class AbiSizes {
  private static final int FIRST_GATED = 5; // MOE_SWIGLU

  private final RandomGenerator random;
  private final long[] sizes = new long[128];
  private final int[] offsets;

  AbiSizes(RandomGenerator random) {
    this.random = random;
    // Experts, choices a token, rows of experts, tokens, hidden size, classes, positions.
    set('E', 1, 9).set('R', 0, 17).set('S', 0, 9).set('M', 0, 40).set('V', 1, 9).set('P', 1, 9);
    set('T', 1, Math.min(get('E'), 3)).set('A', get('E') + 1);
    set('W', get('E') + (get('E') + 3) / 2); // sums of a part of a batch
    // Sequences, their length, heads, head size, rotated pairs; slots of the cache, blocks, their
    // size, blocks and positions of a slot.
    set('B', 0, 3)
        .set('L', 0, 9)
        .set('G', 1, 3)
        .set('H', get('G') * random.nextInt(1, 4))
        .set('D', 1, 20);
    set('I', 20 * get('P')); // rows of P messages
    set('Q', 2 * get('B') + 1); // rows of a bias by relative position
    set('J', 0, get('D') / 2).set('X', 1, 3);
    set('U', 1, 9).set('Y', 1, 9).set('Z', 1, 4).set('C', get('Y') * get('Z'));
    // Inner size, outputs, columns before the activation.
    set('K', 0, 40).set('O', 0, 40).set('N', get('O'));
    transposed("transpose_a", 0).transposed("transpose_b", 0);
    if (random.nextInt(20) == 0) {
      // Rows without columns: nothing to do, however many there are.
      set("SMRBLKOVP".charAt(random.nextInt(9)), 1L << 40).set("MKOD".charAt(random.nextInt(4)), 0);
    }
    set('Z', get('B') * get('L')); // tokens of all sequences
    offsets = drawOffsets();
  }

  long[] shape(String letters) {
    return Arrays.stream(letters.split(","))
        .mapToLong(
            size -> Character.isDigit(size.charAt(0)) ? Long.parseLong(size) : get(size.charAt(0)))
        .toArray();
  }

  long get(char letter) {
    return sizes[letter];
  }

  /** Sizes that follow from a scalar argument. */
  void follow(String parameter, int value) {
    if (parameter.equals("activation") && value >= FIRST_GATED) {
      set('N', 2 * get('O')).transposed("transpose_a", 0).transposed("transpose_b", 0);
    }
    transposed(parameter, value);
  }

  /** Offsets [E + 1] that rise from 0 to R at most. */
  int offset(int index) {
    return offsets[index];
  }

  /** An expert that has rows, or -1. */
  int expert() {
    int expert = random.nextInt((int) get('E'));
    return offsets[expert + 1] > offsets[expert] && random.nextInt(8) > 0 ? expert : -1;
  }

  /** A position among the expert's rows, or -1. */
  int position(int expert) {
    return expert < 0 ? -1 : random.nextInt(offsets[expert + 1] - offsets[expert]);
  }

  private AbiSizes transposed(String parameter, int value) {
    return switch (parameter) {
      case "transpose_a" ->
          set('a', value == 0 ? get('S') : get('K')).set('b', value == 0 ? get('K') : get('S'));
      case "transpose_b" ->
          set('c', value == 0 ? get('K') : get('N')).set('d', value == 0 ? get('N') : get('K'));
      default -> this;
    };
  }

  private AbiSizes set(char letter, long low, long high) {
    return set(letter, random.nextLong(low, high + 1));
  }

  private AbiSizes set(char letter, long size) {
    sizes[letter] = size;
    return this;
  }

  private int[] drawOffsets() {
    int[] chosen = new int[(int) get('A')];
    for (int e = 1; e < chosen.length; e++) {
      chosen[e] = (int) random.nextLong(Math.min(get('R'), 1000) + 1);
    }
    Arrays.sort(chosen);
    return chosen;
  }
}
