package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * Damaged and hostile files are refused in one sentence or encode every text; nothing else is
 * thrown, and nothing takes more than five seconds of a processor. {@code
 * -Dpanamoe.fuzz.mutations=20000} tries more of them, and {@code -Dpanamoe.fuzz.seed=N} others; a
 * failure names the seed of its mutation, which {@code -Dpanamoe.fuzz.seed=SEED
 * -Dpanamoe.fuzz.mutations=1} repeats.
 */
class TokenizerFuzzTest {
  private static final int MUTATIONS = Integer.getInteger("panamoe.fuzz.mutations", 1500);
  private static final long SEED = Long.getLong("panamoe.fuzz.seed", 1);
  private static final long MOST_NANOSECONDS = 5_000_000_000L;

  private static final List<String> NAMES =
      List.of(
          "type",
          "BPE",
          "Unigram",
          "WordPiece",
          "NFC",
          "NFKD",
          "Replace",
          "Precompiled",
          "Prepend",
          "Strip",
          "Sequence",
          "Split",
          "ByteLevel",
          "Digits",
          "FixedLength",
          "Metaspace",
          "WhitespaceSplit",
          "Fuse",
          "ByteFallback",
          "Isolated",
          "Removed",
          "MergedWithNext",
          "MergedWithPrevious",
          "Contiguous",
          "pattern",
          "Regex",
          "String",
          "normalizers",
          "pretokenizers",
          "decoders",
          "content",
          "id",
          "special",
          "length",
          "behavior",
          "invert",
          "vocab",
          "merges",
          "<|endoftext|>",
          "a",
          "",
          " ",
          "\u0120",
          "\u2581",
          "##");
  private static final List<String> PATTERNS =
      List.of(
          "(a+)+$",
          "(a|aa)+b|a",
          "(.*)*",
          "((a?){30}){10}",
          "[ab]{500}|b",
          "(?=[ab]{12}c).",
          "(?!(?!(?!a)))",
          "\\p{L}*?\\z",
          "|",
          "",
          "(",
          ")",
          "[",
          "[^]",
          "\\",
          "a{1000}{1000}",
          "\\p{",
          "(?i:ß)*",
          "x**",
          "\\x{10FFFF}+",
          "[\ud83e\udd99-\udbff\udfff]",
          "(?<=a)",
          "\\1",
          "[[[[a]&&b]]",
          ".",
          "\\s*",
          "\\P{L}+?",
          "(?:|a)*",
          "(?i)[\\p{Lu}]",
          "\\p{Han}{,3}+",
          "\ud800");
  private static final List<String> TEXTS =
      List.of(
          "",
          "a",
          "a".repeat(3000),
          "ab".repeat(1000) + "!",
          " ".repeat(2000),
          "The hat, it's 1234567 <think>  <|endoftext|> x",
          "\ud800",
          "\udc00\ud800a",
          "e" + "\u0301\u0316".repeat(700),
          "\u1161".repeat(500),
          "🦙👩‍👩‍👧\u0000\uffff\ufffd\r\n\t",
          "天气很好Straßeﬁ\u212b가각",
          "<|im_start|>".repeat(50) + "<|im_star");

  @TempDir private Path directory;

  @Test
  void refusesInASentenceOrEncodes() throws IOException {
    int loaded = 0;
    for (int i = 0; i < MUTATIONS; i++) {
      long seed = SEED + i;
      Path file =
          Files.write(
              directory.resolve("tokenizer.json"),
              mutation(new Random(seed * 0x9e3779b97f4a7c15L)));
      loaded +=
          assertTimeoutPreemptively(
                  Duration.ofMinutes(5), () -> survives(file), () -> "seed " + seed)
              ? 1
              : 0;
    }
    if (MUTATIONS > 100) {
      String accepted = loaded + " of " + MUTATIONS + " were accepted";
      assertTrue(loaded > MUTATIONS / 10 && loaded < MUTATIONS * 9 / 10, accepted);
    }
  }

  /** Whether the file was accepted. */
  private static boolean survives(Path file) throws IOException {
    long begin = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    boolean accepted = false;
    try {
      JsonTokenizer tokenizer = JsonTokenizer.load(file);
      accepted = true;
      for (String text : TEXTS) {
        for (int[] tokens :
            List.of(tokenizer.encode(text), tokenizer.encodeWithSpecialTokens(text))) {
          assertTrue(
              Arrays.stream(tokens)
                  .allMatch(token -> token >= 0 && token < tokenizer.vocabularySize()));
          tokenizer.decode(tokens);
        }
      }
    } catch (DataException e) {
      assertTrue(!accepted, "refused a text: " + e.getMessage());
      assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
      assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
      Path kept =
          Files.copy(
              file,
              Files.createTempFile("tokenizer", ".json"),
              StandardCopyOption.REPLACE_EXISTING);
      throw new AssertionError("the file is kept as " + kept, e);
    }
    long taken = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - begin;
    assertTrue(taken < MOST_NANOSECONDS, () -> taken / 1_000_000 + " ms");
    return accepted;
  }

  private static byte[] mutation(Random random) throws IOException {
    ObjectNode json = base(random);
    for (int count = random.nextInt(3); count >= 0; count--) {
      mutate(json, random);
    }
    String text = TinyTokenizer.MAPPER.writeValueAsString(json);
    if (random.nextInt(4) == 0) {
      text = mutate(text, random);
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (random.nextInt(20) == 0 && bytes.length > 0) {
      bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
    }
    return bytes;
  }

  private static ObjectNode base(Random random) {
    switch (random.nextInt(4)) {
      case 0 -> {
        return TinyPieces.pairs();
      }
      case 1 -> {
        return TinyPieces.unigram();
      }
      default -> {}
    }
    ObjectNode json = TinyTokenizer.json();
    if (random.nextBoolean()) {
      json.set(
          "pre_tokenizer",
          TinyTokenizer.split(
              random.nextInt(4) == 0 ? "String" : "Regex",
              any(PATTERNS, random),
              any(NAMES.subList(18, 23), random),
              random.nextBoolean()));
    }
    if (random.nextBoolean()) {
      json.putObject("normalizer").put("type", any(List.of("NFC", "NFD", "NFKC", "NFKD"), random));
    }
    return json;
  }

  /** Changes one place of the tree: the smaller parts as often as vocabulary and merges. */
  private static void mutate(ObjectNode json, Random random) {
    JsonNode place = json;
    while (true) {
      List<JsonNode> below = new ArrayList<>();
      place.forEach(child -> below.add(child));
      below.removeIf(child -> !child.isContainer() || child.isEmpty());
      if (below.isEmpty() || random.nextInt(4) == 0) {
        break;
      }
      place = below.get(random.nextInt(below.size()));
    }
    if (place instanceof ObjectNode object) {
      List<String> fields = new ArrayList<>();
      object.propertyNames().forEach(fields::add);
      String field =
          fields.isEmpty() || random.nextInt(5) == 0 ? any(NAMES, random) : any(fields, random);
      if (random.nextInt(6) == 0) {
        object.remove(field);
      } else {
        object.set(field, value(json, random));
      }
    } else if (place instanceof ArrayNode array) {
      int at = random.nextInt(array.size());
      switch (random.nextInt(3)) {
        case 0 -> array.remove(at);
        case 1 -> array.insert(at, value(json, random));
        default -> array.set(at, value(json, random));
      }
    }
  }

  private static JsonNode value(ObjectNode json, Random random) {
    return switch (random.nextInt(16)) {
      case 0 -> json.nullNode();
      case 1 -> json.booleanNode(random.nextBoolean());
      case 2 -> json.numberNode(random.nextInt(500));
      case 3 -> json.numberNode(random.nextLong());
      case 4 -> json.numberNode(random.nextGaussian() * 1e300);
      case 5 -> json.numberNode(-random.nextInt(3));
      case 6 ->
          StringNode.valueOf("ab(".charAt(random.nextInt(3)) + "(".repeat(random.nextInt(20_000)));
      case 7 -> StringNode.valueOf("a".repeat(random.nextInt(20_000)));
      case 8, 9 -> StringNode.valueOf(any(PATTERNS, random));
      case 10 -> json.arrayNode().add(any(NAMES, random));
      case 11 ->
          json.objectNode()
              .put("type", any(NAMES, random))
              .put(any(NAMES, random), any(PATTERNS, random));
      case 12 ->
          TinyTokenizer.split(
              "Regex", any(PATTERNS, random), any(NAMES, random), random.nextBoolean());
      case 13 ->
          json.path(any(List.of("added_tokens", "decoder", "pre_tokenizer", "normalizer"), random))
              .deepCopy();
      default -> StringNode.valueOf(any(NAMES, random));
    };
  }

  private static String mutate(String text, Random random) {
    int at = random.nextInt(text.length() + 1);
    return switch (random.nextInt(6)) {
      case 0 -> text.substring(0, at);
      case 1 ->
          text.substring(0, at)
              + any(List.of("{", "}", "[", "]", "\"", ",", ":", "\\", "\\ud800"), random)
              + text.substring(at);
      case 2 -> text.replaceFirst("\\{", "{\"model\":{\"type\":\"BPE\"},");
      case 3 -> text.replaceFirst(":null", ":" + "[".repeat(random.nextInt(100_000)));
      case 4 -> text.replaceFirst(":\\d+", ":" + "9".repeat(random.nextInt(5000)));
      default ->
          text.replaceFirst(
              "\"pre_tokenizer\":", "\"pre_tokenizer\":{\"a\":".repeat(random.nextInt(100)));
    };
  }

  private static <T> T any(List<T> list, Random random) {
    return list.get(random.nextInt(list.size()));
  }
}
