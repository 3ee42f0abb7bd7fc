package panamoe.data.tokenizer;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * The patterns by which byte-level tokenizers split text, by {@code tokenizer.ggml.pre}: GGUF files
 * name a family instead of its patterns, which are in the family's own {@code tokenizer.json}.
 *
 * @param patterns applied in order; empty for GPT-2's, ByteLevel's own
 * @param wholeWords whether a piece that is a token becomes it without merging
 * @param begins whether a prompt begins with the beginning-of-text token if the file does not say
 */
record GgufPatterns(List<String> patterns, boolean wholeWords, boolean begins) {
  private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  private static final String WHITE_SPACE = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

  private static final GgufPatterns GPT2 = new GgufPatterns(List.of(), false, false);
  private static final GgufPatterns STARCODER =
      new GgufPatterns(List.of("\\p{N}", PreTokenizer.GPT2_PATTERN), false, false);
  private static final GgufPatterns LLAMA3 =
      new GgufPatterns(List.of(wordsAndDigits("\\p{N}{1,3}")), true, true);
  private static final GgufPatterns DBRX = new GgufPatterns(LLAMA3.patterns, false, false);
  private static final GgufPatterns QWEN2 =
      new GgufPatterns(List.of(wordsAndDigits("\\p{N}")), false, false);
  private static final GgufPatterns GPT4O =
      new GgufPatterns(
          List.of(casedWords(CONTRACTIONS + "?") + "|\\p{N}{1,3}" + punctuation("[\\r\\n/]*")),
          false,
          false);
  private static final GgufPatterns TEKKEN =
      new GgufPatterns(List.of(casedWords("") + "|\\p{N}" + punctuation("[\\r\\n/]*")), true, true);

  /** Kimi-K2: Chinese characters are words of their own. */
  static final GgufPatterns KIMI =
      new GgufPatterns(
          List.of(
              "\\p{Han}+|"
                  + casedWords(CONTRACTIONS + "?").replace("\\p{M}]", "\\p{M}&&[^\\p{Han}]]")
                  + "|\\p{N}{1,3}"
                  + punctuation("[\\r\\n]*")),
          false,
          false);

  private static final GgufPatterns DEEPSEEK_V3 =
      new GgufPatterns(
          List.of(
              "\\p{N}{1,3}",
              "[一-龥぀-ゟ゠-ヿ]+",
              "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
                  + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"
                  + WHITE_SPACE),
          false,
          false);

  /** Letters with two cases; those that normalisation of this file would change are escaped. */
  private static final GgufPatterns DEEPSEEK_LLM =
      new GgufPatterns(
          List.of(
              "[\\r\\n]",
              "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ"
                  + "Ḁ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\\u1F7Dᾀ-ᾴᾶ-ᾼ\\u1FBEῂ-ῄῆ-ῌῐ-\\u1FD3ῖ-\\u1FDBῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\\u2126ℨ\\u212A-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄ"
                  + "Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
              "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
              "\\s+$",
              "[一-龥ࠀ-一가-퟿]+",
              "\\p{N}+"),
          false,
          false);

  private static final GgufPatterns DEEPSEEK_CODER =
      new GgufPatterns(
          List.of("[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"),
          false,
          false);

  private static final Map<String, GgufPatterns> FAMILIES =
      Map.ofEntries(
          Map.entry("gpt-2", GPT2),
          Map.entry("olmo", GPT2),
          Map.entry("phi-2", GPT2),
          Map.entry("llama-bpe", LLAMA3),
          Map.entry("llama3", LLAMA3),
          Map.entry("llama-v3", LLAMA3),
          Map.entry("dbrx", DBRX),
          Map.entry("smaug-bpe", DBRX),
          Map.entry("glm4", DBRX),
          Map.entry("chatglm-bpe", DBRX),
          Map.entry("qwen2", QWEN2),
          Map.entry("deepseek-r1-qwen", QWEN2),
          Map.entry("hunyuan", QWEN2),
          Map.entry("megrez", QWEN2),
          Map.entry("stablelm2", QWEN2),
          Map.entry("starcoder", STARCODER),
          Map.entry("refact", STARCODER),
          Map.entry("smollm", STARCODER),
          Map.entry("command-r", STARCODER),
          Map.entry("gpt-4o", GPT4O),
          Map.entry("llama4", GPT4O),
          Map.entry("minimax-m2", GPT4O),
          Map.entry("tekken", TEKKEN),
          Map.entry("kimi-k2", KIMI),
          Map.entry("deepseek-v3", DEEPSEEK_V3),
          Map.entry("hunyuan-dense", DEEPSEEK_V3),
          Map.entry("deepseek-llm", DEEPSEEK_LLM),
          Map.entry("deepseek-coder", DEEPSEEK_CODER));

  /** For several names of the same patterns, the ones that are written. */
  private static final Set<String> USUAL =
      Set.of("gpt-2", "gpt-4o", "llama-bpe", "qwen2", "dbrx", "deepseek-v3", "refact");

  static GgufPatterns of(TokenizerMetadata metadata) {
    String name = metadata.text("pre").orElse("");
    GgufPatterns patterns = FAMILIES.get(name);
    if (patterns == null) {
      throw metadata
          .source()
          .unsupported(
              "tokenizer.ggml.pre",
              StringNode.valueOf(name),
              "one of " + String.join(", ", FAMILIES.keySet().stream().sorted().toList()));
    }
    return patterns;
  }

  /**
   * The name of the family with these patterns.
   *
   * @throws panamoe.io.DataException if no family has them
   */
  static String name(List<String> patterns, boolean wholeWords, Source source) {
    return FAMILIES.entrySet().stream()
        .filter(entry -> entry.getValue().patterns.equals(patterns))
        .filter(entry -> entry.getValue().wholeWords == wholeWords)
        .map(Map.Entry::getKey)
        .min(
            Comparator.comparing((String name) -> !USUAL.contains(name))
                .thenComparing(name -> name))
        .orElseThrow(() -> GgufTokenizerKeys.unnamed(source));
  }

  ObjectNode preTokenizer() {
    ObjectNode byteLevel =
        GgufTokenizer.type("ByteLevel")
            .put("add_prefix_space", false)
            .put("use_regex", patterns.isEmpty());
    ObjectNode sequence = GgufTokenizer.type("Sequence");
    ArrayNode stages = sequence.putArray("pretokenizers");
    for (String pattern : patterns) {
      ObjectNode split = GgufTokenizer.type("Split").put("behavior", "Isolated");
      split.putObject("pattern").put("Regex", pattern);
      stages.add(split);
    }
    stages.add(byteLevel);
    return sequence;
  }

  private static String wordsAndDigits(String digits) {
    return CONTRACTIONS + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" + digits + punctuation("[\\r\\n]*");
  }

  private static String punctuation(String lineEnds) {
    return "| ?[^\\s\\p{L}\\p{N}]+" + lineEnds + WHITE_SPACE;
  }

  /** A word in lower case, perhaps after capitals, or a word in capitals. */
  private static String casedWords(String end) {
    String before = "[^\\r\\n\\p{L}\\p{N}]?" + UPPER;
    return before + "*" + LOWER + "+" + end + "|" + before + "+" + LOWER + "*" + end;
  }
}
