package panamoe.checkpoint.gguf;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import panamoe.checkpoint.StoredType;

/** The numbers of tensor types in GGUF files. */
final class GgufTensorType {
  private static final Map<Integer, String> NAMES = new HashMap<>();

  static {
    names(0, "F32 F16 Q4_0 Q4_1 Q4_2 Q4_3 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K");
    names(16, "IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M");
    names(30, "BF16 Q4_0_4_4 Q4_0_4_8 Q4_0_8_8 TQ1_0 TQ2_0");
    names(36, "IQ4_NL_4_4 IQ4_NL_4_8 IQ4_NL_8_8 MXFP4 NVFP4 Q1_0 Q2_0");
    // Of ik_llama.cpp, whose files llama.cpp does not read either.
    names(133, "Q6_0 IQ1_BN IQ2_BN Q8_K64 IQ2_K IQ3_K IQ4_K IQ5_K IQ6_K");
    names(144, "IQ4_KS IQ2_KS IQ4_KSS");
    names(152, "IQ5_KS IQ2_KT IQ3_KT IQ4_KT IQ3_KS IQ2_KL IQ1_KT");
  }

  private GgufTensorType() {}

  private static void names(int first, String names) {
    int number = first;
    for (String name : names.split(" ")) {
      NAMES.put(number++, name);
    }
  }

  /** The type that is read under that number; empty if it is unknown or unsupported. */
  static Optional<StoredType> of(int number) {
    return Arrays.stream(StoredType.values())
        .filter(type -> type.name().equals(NAMES.get(number)))
        .findFirst();
  }

  /** The number of a type that is read. */
  static int number(StoredType type) {
    return NAMES.entrySet().stream()
        .filter(entry -> entry.getValue().equals(type.name()))
        .mapToInt(Map.Entry::getKey)
        .min()
        .orElseThrow();
  }

  /** The name, where it is known, and the number. */
  static String describe(int number) {
    return NAMES.getOrDefault(number, "unknown")
        + " (number "
        + Integer.toUnsignedString(number)
        + ")";
  }

  /** The names of all types that are read. */
  static String readable() {
    return Arrays.stream(StoredType.values())
        .map(StoredType::name)
        .filter(NAMES::containsValue)
        .collect(Collectors.joining(", "));
  }
}
