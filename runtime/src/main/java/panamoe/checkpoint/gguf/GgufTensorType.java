package panamoe.checkpoint.gguf;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import panamoe.checkpoint.StoredType;

/** The numbers of tensor types in GGUF files. */
final class GgufTensorType {
  /** Names of types that are not read. */
  private static final Map<Integer, String> OTHERS = new HashMap<>();

  /** Numbers and their names; those from 133 on are ik_llama.cpp's. */
  private static final String NAMES =
      "4 Q4_2 Q4_3 9 Q8_1 15 Q8_K"
          + " 31 Q4_0_4_4 Q4_0_4_8 Q4_0_8_8 TQ1_0 TQ2_0 36 IQ4_NL_4_4 IQ4_NL_4_8 IQ4_NL_8_8"
          + " 41 Q1_0 Q2_0 133 Q6_0 IQ1_BN IQ2_BN Q8_K64 IQ2_K IQ3_K IQ4_K IQ5_K IQ6_K"
          + " 144 IQ4_KS IQ2_KS IQ4_KSS 152 IQ5_KS IQ2_KT IQ3_KT IQ4_KT IQ3_KS IQ2_KL IQ1_KT";

  static {
    int number = 0;
    for (String word : NAMES.split(" ")) {
      if (Character.isDigit(word.charAt(0))) {
        number = Integer.parseInt(word);
      } else {
        OTHERS.put(number++, word);
      }
    }
  }

  private GgufTensorType() {}

  /** The type of that number; empty if it is unknown or unsupported. */
  static Optional<StoredType> of(int number) {
    return StoredType.values().stream()
        .filter(type -> type.gguf() == number && number >= 0)
        .findFirst();
  }

  /** The name, if known, and the number. */
  static String describe(int number) {
    String name = OTHERS.getOrDefault(number, "unknown");
    return name + " (number " + Integer.toUnsignedString(number) + ")";
  }

  /** The names of all types that are read. */
  static String readable() {
    return StoredType.values().stream()
        .filter(type -> type.gguf() >= 0)
        .map(StoredType::name)
        .collect(Collectors.joining(", "));
  }
}
