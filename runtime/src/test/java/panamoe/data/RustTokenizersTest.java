package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.tokenizer.BpeTrainer;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Tokens are those of Hugging Face's own library, feature by feature, on random texts. */
class RustTokenizersTest {
  private static final Map<String, String> OPTIONS =
      Map.of(
          "addSpecialTokens",
          "false",
          "padding",
          "false",
          "truncation",
          "false",
          "maxLength",
          "-1");
  private static final List<String> PARTS =
      List.of(
          "the",
          " other",
          " Straße",
          "они",
          "天气",
          "e\u0301",
          "é",
          "\ufb01",
          "\u212b",
          "가",
          "ᄀ\u1161",
          "\u0301",
          "\u0316",
          "a",
          "b",
          "A",
          "ſ",
          " ",
          "  ",
          "\n",
          "\r\n",
          "\t",
          "\u00a0",
          "\u3000",
          "\u0085",
          "12",
          "3",
          "٣",
          "²",
          "½",
          "'s",
          "'LL",
          "'ſ",
          "-",
          "!?",
          "_",
          "🦙",
          "👩‍👩‍👧",
          "\uff21",
          "\u2460\u0301",
          "a\u0308",
          "\u2581",
          "<unk>",
          "</s>",
          "\u0000",
          "\ufffd",
          "<think>",
          "été",
          "e\u0301te\u0301",
          "<|endoftext|>",
          "<|im_",
          "start|>",
          "<|im_start|>",
          "<",
          ">");

  @TempDir private Path directory;

  @Test
  void byteLevel() {
    compare(json -> {});
    compare(json -> json.set("pre_tokenizer", TinyTokenizer.byteLevel(true, true)));
    compare(json -> json.set("pre_tokenizer", TinyTokenizer.byteLevel(true, false)));
    compare(json -> json.set("pre_tokenizer", TinyTokenizer.byteLevel(false, false)));
    compare(json -> ((ObjectNode) json.get("model")).put("ignore_merges", true));
  }

  @Test
  void everyBehaviorOfASplit() {
    for (String behavior :
        List.of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")) {
      for (boolean inverted : new boolean[] {false, true}) {
        for (String pattern : List.of("\\s", "\\p{L}+", "a*", "[^\\p{N}]", " (?!\\S)", "\\s*")) {
          compare(
              json ->
                  json.set(
                      "pre_tokenizer", TinyTokenizer.split("Regex", pattern, behavior, inverted)));
        }
        compare(
            json ->
                json.set("pre_tokenizer", TinyTokenizer.split("String", " ", behavior, inverted)));
      }
    }
  }

  @Test
  void patterns() {
    for (String pattern :
        List.of(
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
            "[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s+(?!\\S)|\\s",
            "\\w+|[^\\w\\s]+",
            "[\\p{Lu}\\p{Lt}]*[\\p{Ll}\\p{M}]+|\\d",
            "[^\\p{Han}&&\\p{L}]+",
            "\\S+?(?=\\s|\\z)|.",
            "(?i)the|straße|S+",
            "[[a-z]&&[^t]]+|\\p{P}|\\P{^S}",
            "\\x20|\\x{1F999}|[\\u0041-\\u005a]",
            "(?:a|b|)+t{0,2}?h",
            "(?i:[\\p{Lu}])",
            "(?i:\\p{Lu})",
            "(?i:[^a])",
            "(?i:[^\\p{Lu}])",
            "(?i:\\P{Lu})",
            "(?:|a|b)+t",
            "(?:(?:a*|b)*|t)+ ",
            "(?:a*?|b){2,3}?t")) {
      compare(
          json ->
              json.set("pre_tokenizer", TinyTokenizer.split("Regex", pattern, "Isolated", false)));
    }
  }

  @Test
  void severalSplits() {
    for (boolean individual : new boolean[] {false, true}) {
      compare(
          json -> {
            ObjectNode sequence = TinyTokenizer.split("Regex", "[\\r\\n]", "Isolated", false);
            sequence
                .withArray("pretokenizers")
                .insertObject(1)
                .put("type", "Digits")
                .put("individual_digits", individual);
            sequence.withArray("pretokenizers").set(2, TinyTokenizer.byteLevel(true, true));
            json.set("pre_tokenizer", sequence);
          });
    }
  }

  @Test
  void normalizers() {
    for (String form : List.of("NFC", "NFD", "NFKC", "NFKD")) {
      compare(json -> json.putObject("normalizer").put("type", form));
    }
    compare(
        json ->
            json.putObject("normalizer")
                .put("type", "Sequence")
                .putArray("normalizers")
                .add(TinyTokenizer.MAPPER.createObjectNode().put("type", "NFD")));
  }

  @Test
  void addedTokens() {
    for (int flags = 0; flags < 16; flags++) {
      int set = flags;
      compare(
          json -> {
            // Where a token takes the white space behind it, they find a token of white space there
            // nevertheless.
            boolean takesRight = (set & 2) != 0;
            json.get("added_tokens")
                .forEach(
                    token ->
                        ((ObjectNode) token)
                            .put("lstrip", (set & 1) != 0)
                            .put("rstrip", takesRight)
                            .put("single_word", (set & 4) != 0)
                            .put("normalized", (set & 8) != 0)
                            .put(
                                "content",
                                takesRight
                                    ? token.path("content").asString().replace("  ", "__")
                                    : token.path("content").asString()));
            json.putObject("normalizer").put("type", "NFKC");
          });
    }
  }

  @Test
  void pairsOfCharacters() {
    for (String scheme : List.of("always", "first", "never")) {
      for (boolean splits : new boolean[] {false, true}) {
        for (ObjectNode json : List.of(TinyPieces.pairs(), TinyPieces.unigram())) {
          json.set("pre_tokenizer", TinyPieces.metaspace(scheme, splits));
          json.putNull("normalizer");
          compare(json);
        }
      }
    }
    for (int flags = 0; flags < 8; flags++) {
      ObjectNode json = TinyPieces.pairs();
      ((ObjectNode) json.get("model"))
          .put("fuse_unk", (flags & 1) != 0)
          .put("byte_fallback", (flags & 2) != 0)
          .put("ignore_merges", (flags & 4) != 0);
      compare(json);
    }
  }

  @Test
  void scoresOfTokens() {
    for (boolean bytes : new boolean[] {false, true}) {
      ObjectNode json = TinyPieces.unigram();
      ((ObjectNode) json.get("model")).put("byte_fallback", bytes);
      compare(json);
      ObjectNode sequence = json.putObject("pre_tokenizer").put("type", "Sequence");
      sequence
          .putArray("pretokenizers")
          .add(TinyTokenizer.MAPPER.createObjectNode().put("type", "WhitespaceSplit"))
          .add(TinyPieces.metaspace("always", true));
      compare(json);
    }
  }

  /** The table is one that SentencePiece compiled. */
  @Test
  void compiledReplacements() throws IOException {
    ObjectNode json = TinyPieces.unigram();
    ArrayNode steps = json.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    steps
        .addObject()
        .put("type", "Precompiled")
        .set(
            "precompiled_charsmap",
            ReleasedTokenizersTest.golden("sentencepiece")
                .path("vocabularies")
                .path("rules")
                .path("precompiled_charsmap"));
    steps.addObject().put("type", "Strip").put("strip_left", false).put("strip_right", true);
    steps
        .addObject()
        .put("type", "Replace")
        .put("content", TinyPieces.SPACE)
        .putObject("pattern")
        .put("Regex", " {2,}");
    compare(json);
  }

  @Test
  void aTrainedTokenizer() throws IOException, InterruptedException {
    byte[] trained = BpeTrainer.train(texts(), 500, 2, (_, _, _) -> {}).json();
    compare((ObjectNode) TinyTokenizer.MAPPER.readTree(trained));
  }

  private void compare(Consumer<ObjectNode> change) {
    ObjectNode json = TinyTokenizer.json();
    change.accept(json);
    compare(json);
  }

  private void compare(ObjectNode json) {
    try {
      byte[] content = TinyTokenizer.MAPPER.writeValueAsBytes(json);
      JsonTokenizer ours =
          JsonTokenizer.load(Files.write(directory.resolve("tokenizer.json"), content));
      try (HuggingFaceTokenizer theirs =
          HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(content), OPTIONS)) {
        for (String text : texts()) {
          int[] expected =
              LongStream.of(theirs.encode(text, false, false).getIds())
                  .mapToInt(Math::toIntExact)
                  .toArray();
          assertArrayEquals(
              expected,
              ours.encodeWithSpecialTokens(text),
              () ->
                  TinyTokenizer.MAPPER.valueToTree(text)
                      + " by "
                      + json.get("pre_tokenizer")
                      + json.get("normalizer")
                      + json.get("added_tokens")
                      + "\n"
                      + Arrays.toString(expected));
        }
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static List<String> texts() {
    Random random = new Random(1);
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      StringBuilder text = new StringBuilder();
      for (int part = random.nextInt(12); part > 0; part--) {
        text.append(PARTS.get(random.nextInt(PARTS.size())));
      }
      texts.add(text.toString());
    }
    return texts;
  }
}
