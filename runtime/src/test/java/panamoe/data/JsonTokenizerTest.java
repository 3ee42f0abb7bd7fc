package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.CpuTime.assertWithin;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

class JsonTokenizerTest {
  private static final JsonMapper MAPPER = JsonMapper.shared();
  private static final int THE = 258;
  private static final int END = 259;

  @TempDir private Path directory;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "the",
        "the cat and the hat",
        "aé€😀",
        "a\u0000b",
        "👩‍👩‍👧‍👦 שלום  \n\t",
        "<|endoftext|>",
        "x<|endoftext|><|endoftext|>y <|endoftext|",
        "<|endof<|endoftext|>text|>"
      })
  void roundTripsText(String text) {
    JsonTokenizer tokenizer = load(json -> {});
    int[] tokens = tokenizer.encode(text);
    assertEquals(text, tokenizer.decode(tokens));
    assertTrue(
        Arrays.stream(tokens).noneMatch(token -> token == END),
        "special tokens in text are plain text");
    int bytes = Arrays.stream(tokens).map(token -> tokenizer.bytesOf(token).length).sum();
    assertEquals(text.getBytes(StandardCharsets.UTF_8).length, bytes);
  }

  /**
   * Whatever the merges and splits, as long as no split removes anything and no normalizer changes
   * it.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {"\\p{L}+|\\s", "[^a-f]*", "a|b|", ".{1,3}(?=\\p{N})", "\\S+?|\\s+(?!\\S)"})
  void decodingGivesTheTextBack(String pattern) throws IOException {
    Random random = new Random(1);
    for (String behavior :
        List.of("Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")) {
      ObjectNode json = TinyTokenizer.json();
      json.set(
          "pre_tokenizer", TinyTokenizer.split("Regex", pattern, behavior, random.nextBoolean()));
      Path file = Files.write(directory.resolve("tokenizer.json"), MAPPER.writeValueAsBytes(json));
      JsonTokenizer tokenizer = JsonTokenizer.load(file);
      for (int trial = 0; trial < 300; trial++) {
        StringBuilder text = new StringBuilder();
        for (int length = random.nextInt(40); length > 0; length--) {
          int point = random.nextInt(random.nextBoolean() ? 0x80 : 0x20000);
          text.appendCodePoint(Character.getType(point) == Character.SURROGATE ? 'a' : point);
        }
        assertEquals(text.toString(), tokenizer.decode(tokenizer.encode(text.toString())));
      }
    }
  }

  @Test
  void appliesTheMerges() {
    JsonTokenizer tokenizer = load(json -> {});
    assertArrayEquals(new int[] {THE}, tokenizer.encode("the"));
    assertArrayEquals("the".getBytes(StandardCharsets.UTF_8), tokenizer.bytesOf(THE));
    assertEquals(260, tokenizer.vocabularySize());
    assertEquals(END, tokenizer.endOfText());
    assertEquals(0, tokenizer.bytesOf(END).length);
    assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.bytesOf(260));
  }

  @Test
  void allBytesAndLoneSurrogates() {
    JsonTokenizer tokenizer = load(json -> {});
    for (int value = 0; value < 256; value++) {
      assertArrayEquals(new byte[] {(byte) value}, tokenizer.bytesOf(value));
    }
    assertEquals("a\ufffdb", tokenizer.decode(tokenizer.encode("a\ud83db")));
  }

  @Test
  void longTextsTakeLinearTime() {
    JsonTokenizer tokenizer = load(json -> {});
    for (String unit : List.of("x", "the", "ab1?")) {
      String text = unit.repeat(1_000_000 / unit.length());
      String decoded =
          assertWithin(Duration.ofSeconds(60), () -> tokenizer.decode(tokenizer.encode(text)));
      assertEquals(text, decoded);
    }
  }

  @Test
  void findsAddedTokensThatAreNotSpecial() {
    JsonTokenizer tokenizer =
        load(json -> json.withArray("added_tokens").add(added("<think>", 260, false).get(0)));
    assertArrayEquals(new int[] {THE, 260, THE}, tokenizer.encode("the<think>the"));
    assertEquals("the<think>the", tokenizer.decode(tokenizer.encode("the<think>the")));
    assertArrayEquals(
        new int[] {THE, END, 260}, tokenizer.encodeWithSpecialTokens("the<|endoftext|><think>"));
  }

  /** Markers, special or not, are found where a template wrote them; runs of spaces everywhere. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void somebodysWordsAreNoMarkers(boolean normalized) {
    JsonTokenizer tokenizer =
        load(
            json -> {
              String[] contents = {"<think>", "<｜User｜>", "  "};
              for (int i = 0; i < contents.length; i++) {
                ObjectNode token = (ObjectNode) added(contents[i], 260 + i, false).get(0);
                json.withArray("added_tokens").add(token.put("normalized", normalized));
              }
            });
    String text = "<｜User｜>  <think><｜User｜>";
    BitSet literal = new BitSet();
    assertArrayEquals(
        new int[] {261, 262, 260, 261}, tokenizer.encodeWithSpecialTokens(text, literal));
    literal.set("<｜User｜>".length(), text.length());
    int[] tokens = tokenizer.encodeWithSpecialTokens(text, literal);
    assertArrayEquals(new int[] {261, 262, '<'}, Arrays.copyOf(tokens, 3));
    assertTrue(Arrays.stream(tokens, 2, tokens.length).allMatch(token -> token < 260));
    assertEquals(text, tokenizer.decode(tokens));
  }

  /** Though the model could make it of plain text, by its merges or as a whole word. */
  @Test
  void plainTextNeverBecomesASpecialToken() {
    JsonTokenizer tokenizer =
        load(
            json -> {
              vocabulary(json).put("<s", 259).put("<s>", 260);
              ((ArrayNode) json.get("model").get("merges")).add("< s").add("<s >");
              json.set("added_tokens", added("<s>", 260, true));
              ((ObjectNode) json.get("model")).put("ignore_merges", true);
              ((ObjectNode) json.get("pre_tokenizer")).put("use_regex", false);
            },
            "<s>");
    assertArrayEquals(new int[] {259, '>'}, tokenizer.encode("<s>"));
    assertArrayEquals(new int[] {260}, tokenizer.encodeWithSpecialTokens("<s>"));
  }

  @Test
  void wholeWordsGoBeforeMergesWhereTheFileSaysSo() {
    Consumer<ObjectNode> change = json -> vocabulary(json).put("that", 260);
    assertArrayEquals(new int[] {256, 'a', 't'}, load(change).encode("that"));
    assertArrayEquals(
        new int[] {260},
        load(change.andThen(json -> ((ObjectNode) json.get("model")).put("ignore_merges", true)))
            .encode("that"));
  }

  @Test
  void threadsShareATokenizer() {
    JsonTokenizer tokenizer = load(json -> {});
    String text = "the hat, the other, 123 \ud83e\udd99 ";
    int[] expected = tokenizer.encode(text.repeat(50));
    assertTrue(
        IntStream.range(0, 400)
            .parallel()
            .allMatch(i -> Arrays.equals(expected, tokenizer.encode(text.repeat(50)))));
  }

  @Test
  void refusesBrokenVocabularies() {
    refuses("no special token <|endoftext|> or", json -> json.putArray("added_tokens"));
    refuses("no token with the number 97", json -> vocabulary(json).remove("a"));
    refuses("no token for the byte 97", json -> vocabulary(json).put("zz", 97).remove("a"));
    refuses("gives the number 98 to two tokens", json -> vocabulary(json).put("a", 98));
    refuses("the number -1, expected 0 to", json -> vocabulary(json).put("a", -1));
    refuses(
        "the number 2147483647, expected 0 to",
        json -> vocabulary(json).put("a", Integer.MAX_VALUE));
    refuses("the number 1.5, expected 0 to", json -> vocabulary(json).put("a", 1.5));
    refuses("the number [], expected 0 to", json -> vocabulary(json).putArray("a"));
    refuses(
        "an added token without content", json -> json.set("added_tokens", added("", END, true)));
    refuses("half a character", json -> json.set("added_tokens", added("a\ud800", END, true)));
    refuses(
        "\"<|endoftext|>\" twice",
        json -> json.withArray("added_tokens").add(added("<|endoftext|>", 260, true).get(0)));
    refuses(
        "the number 259, and in its vocabulary 260",
        json -> vocabulary(json).put("<|endoftext|>", 260));
    refuses(
        "\"yes\" for special",
        json -> ((ObjectNode) json.get("added_tokens").get(0)).put("special", "yes"));
    refuses("merges \"qq\" and \"zz\", but \"qq\" is not", json -> merges(json).add("qq zz"));
    refuses(
        "but \"ax\" is not in its vocabulary", json -> merges(json).addArray().add("a").add("x"));
    refuses("the merge number 3, which is not two tokens", json -> merges(json).add("abc"));
    refuses(
        "the merge number 3, which is not two tokens", json -> merges(json).addArray().add("a"));
    refuses("the merge number 3, which is not two tokens", json -> merges(json).add("a b c"));
    refuses(
        "the merge number 3, which is not two tokens",
        json -> merges(json).addArray().add("a").add("b").add("c"));
  }

  @Test
  void refusesOtherKindsOfTokenizersByName() {
    refuses(
        "unsupported decoder \"WordPiece\"",
        json -> ((ObjectNode) json.get("decoder")).put("type", "WordPiece"));
    refuses("has no decoder", json -> json.putNull("decoder"));
    refuses(
        "unsupported model \"Unigram\", expected BPE", json -> model(json).put("type", "Unigram"));
    refuses(
        "unsupported continuing_subword_prefix \"##\"",
        json -> model(json).put("continuing_subword_prefix", "##"));
    refuses(
        "unsupported end_of_word_suffix \"</w>\"",
        json -> model(json).put("end_of_word_suffix", "</w>"));
    refuses("unsupported dropout 0.1", json -> model(json).put("dropout", 0.1));
    refuses("unsupported byte_fallback true", json -> model(json).put("byte_fallback", true));
    refuses(
        "unsupported normalizer \"Lowercase\", expected NFC",
        json -> json.putObject("normalizer").put("type", "Lowercase"));
    refuses(
        "unsupported pre-tokenizer \"Metaspace\"",
        json -> json.putObject("pre_tokenizer").put("type", "Metaspace"));
    refuses("unsupported pre-tokenizer null", json -> json.putNull("pre_tokenizer"));
    refuses(
        "splits by the pattern \"(?<=a)b\": a look-behind is not supported",
        json ->
            json.set("pre_tokenizer", TinyTokenizer.split("Regex", "(?<=a)b", "Isolated", false)));
    refuses(
        "unsupported behavior \"Sideways\"",
        json -> json.set("pre_tokenizer", TinyTokenizer.split("Regex", "b", "Sideways", false)));
    refuses(
        "has a pre-tokenizer behind ByteLevel",
        json ->
            json.putObject("pre_tokenizer")
                .put("type", "Sequence")
                .putArray("pretokenizers")
                .add(TinyTokenizer.byteLevel(false, true))
                .add(TinyTokenizer.byteLevel(false, true)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "not json", "{\"a\":1,\"a\":2}", "{} {}", "[]"})
  void refusesWhatIsNoTokenizer(String content) throws IOException {
    Path file = Files.writeString(directory.resolve("tokenizer.json"), content);
    DataException e = assertThrows(DataException.class, () -> JsonTokenizer.load(file));
    assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  @Test
  void refusesAnAbsentFile() {
    assertThrows(DataException.class, () -> JsonTokenizer.load(directory.resolve("absent")));
    assertThrows(DataException.class, () -> JsonTokenizer.load(write(json -> {}), "<other>"));
  }

  private void refuses(String expected, Consumer<ObjectNode> change) {
    DataException e = assertThrows(DataException.class, () -> load(change));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  private JsonTokenizer load(Consumer<ObjectNode> change) {
    return JsonTokenizer.load(write(change));
  }

  private JsonTokenizer load(Consumer<ObjectNode> change, String endOfText) {
    return JsonTokenizer.load(write(change), endOfText);
  }

  /** A byte-level tokenizer with two merges, t+h and th+e, changed. */
  private Path write(Consumer<ObjectNode> change) {
    ObjectNode json = MAPPER.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding").putNull("normalizer").putNull("post_processor");
    json.set("added_tokens", added("<|endoftext|>", END, true));
    json.putObject("pre_tokenizer")
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", true);
    json.putObject("decoder")
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", true);
    ObjectNode model = json.putObject("model").put("type", "BPE");
    ObjectNode vocabulary = model.putObject("vocab");
    char free = 0x100;
    for (char value = 0; value < 256; value++) {
      boolean printable = value > ' ' && value < 0x7f || value > 0xa0 && value != 0xad;
      vocabulary.put(String.valueOf(printable ? value : free++), (int) value);
    }
    vocabulary.put("th", 256).put("the", THE).put("he", 257);
    model.putArray("merges").add("t h").add("th e").add("h e");
    change.accept(json);
    try {
      return Files.write(directory.resolve("tokenizer.json"), MAPPER.writeValueAsBytes(json));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ObjectNode model(ObjectNode json) {
    return (ObjectNode) json.get("model");
  }

  private static ObjectNode vocabulary(ObjectNode json) {
    return (ObjectNode) model(json).get("vocab");
  }

  private static ArrayNode merges(ObjectNode json) {
    return (ArrayNode) model(json).get("merges");
  }

  private static ArrayNode added(String content, int id, boolean special) {
    ArrayNode tokens = MAPPER.createArrayNode();
    tokens
        .addObject()
        .put("id", id)
        .put("content", content)
        .put("special", special)
        .put("single_word", false)
        .put("lstrip", false)
        .put("rstrip", false)
        .put("normalized", false);
    return tokens;
  }
}
