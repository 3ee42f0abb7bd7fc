package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTokenizerTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int THE = 258;
  private static final int END = 259;

  @TempDir
  private Path directory;

  @ParameterizedTest
  @ValueSource(strings = {
      "", "the", "the cat and the hat", "aé€😀", "a\u0000b", "👩‍👩‍👧‍👦 שלום  \n\t", "<|endoftext|>",
      "x<|endoftext|><|endoftext|>y <|endoftext|", "<|endof<|endoftext|>text|>"})
  void roundTripsText(String text) {
    JsonTokenizer tokenizer = load(json -> {});
    int[] tokens = tokenizer.encode(text);
    assertEquals(text, tokenizer.decode(tokens));
    assertTrue(Arrays.stream(tokens).noneMatch(token -> token == END), "special tokens in text are plain text");
    int bytes = Arrays.stream(tokens).map(token -> tokenizer.bytesOf(token).length).sum();
    assertEquals(text.getBytes(StandardCharsets.UTF_8).length, bytes);
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
      assertTimeout(Duration.ofSeconds(60), () -> assertEquals(text, tokenizer.decode(tokenizer.encode(text))));
    }
  }

  @Test
  void readsSentencePieceVocabularies() {
    JsonTokenizer tokenizer = load(json -> {
      Map<String, Integer> vocabulary = new LinkedHashMap<>();
      vocabulary.put("<unk>", 0);
      for (int value = 0; value < 256; value++) {
        vocabulary.put("<0x%02X>".formatted(value), value + 1);
      }
      vocabulary.put("\u2581", 257);
      vocabulary.put("a", 258);
      vocabulary.put("</s>", 259);
      ObjectNode model =
          json.putObject("model").put("type", "BPE").put("byte_fallback", true).put("unk_token", "<unk>");
      model.set("vocab", MAPPER.valueToTree(vocabulary));
      model.putArray("merges");
      json.putNull("pre_tokenizer");
      json.putObject("normalizer").put("type", "Replace").put("content", "\u2581")
          .putObject("pattern").put("String", " ");
      ArrayNode decoders = json.putObject("decoder").put("type", "Sequence").putArray("decoders");
      decoders.addObject().put("type", "Replace").put("content", " ").putObject("pattern").put("String", "\u2581");
      decoders.addObject().put("type", "ByteFallback");
      decoders.addObject().put("type", "Fuse");
      json.set("added_tokens", added("</s>", 259, true));
    });
    assertEquals(259, tokenizer.endOfText());
    assertArrayEquals(new int[] {258, 257, 0xc3 + 1, 0xa9 + 1}, tokenizer.encode("a é"));
    assertEquals("a é", tokenizer.decode(tokenizer.encode("a é")));
  }

  @Test
  void refusesBrokenVocabularies() {
    refuses("unsupported decoder \"WordPiece\"", json -> ((ObjectNode) json.get("decoder")).put("type", "WordPiece"));
    refuses("no special token <|endoftext|> or", json -> json.putArray("added_tokens"));
    refuses("no token with the number 97", json -> vocabulary(json).remove("a"));
    refuses("gives the number 98 to two tokens", json -> vocabulary(json).put("a", 98));
    refuses("the number -1, expected 0 to", json -> vocabulary(json).put("a", -1));
    refuses("the number 2147483647, expected 0 to", json -> vocabulary(json).put("a", Integer.MAX_VALUE));
    refuses("the number 1.5, expected 0 to", json -> vocabulary(json).put("a", 1.5));
    refuses("an added token without content", json -> json.set("added_tokens", added("", END, true)));
    refuses("expected two characters or more", json -> json.set("added_tokens", added("😀", END, true)));
    refuses("is not a usable tokenizer", json -> ((ObjectNode) json.get("model")).put("type", "Nonsense"));
    refuses("is not a usable tokenizer", json -> ((ArrayNode) json.get("model").get("merges")).add("qq zz"));
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

  /** A byte-level tokenizer with two merges, t+h and th+e, changed. */
  private Path write(Consumer<ObjectNode> change) {
    ObjectNode json = MAPPER.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding").putNull("normalizer").putNull("post_processor");
    json.set("added_tokens", added("<|endoftext|>", END, true));
    json.putObject("pre_tokenizer").put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true)
        .put("use_regex", true);
    json.putObject("decoder").put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true)
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

  private static ObjectNode vocabulary(ObjectNode json) {
    return (ObjectNode) json.get("model").get("vocab");
  }

  private static ArrayNode added(String content, int id, boolean special) {
    ArrayNode tokens = MAPPER.createArrayNode();
    tokens.addObject().put("id", id).put("content", content).put("special", special).put("single_word", false)
        .put("lstrip", false).put("rstrip", false).put("normalized", false);
    return tokens;
  }
}
