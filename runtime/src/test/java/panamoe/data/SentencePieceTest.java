package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.CpuTime.assertWithin;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Tokenizers over characters with {@code ▁} for spaces: by merges, and by scores. */
class SentencePieceTest {

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "the",
        " the  cat and the hat ",
        "aé€😀",
        "a\u0000b",
        "👩‍👩‍👧‍👦 שלום  \n\t",
        "<s>x</s><unk>",
        "<0x41>",
        "</s"
      })
  void roundTripsText(String text) {
    JsonTokenizer tokenizer = of(TinyPieces.pairs());
    int[] tokens = tokenizer.encode(text);
    assertEquals(text, tokenizer.decode(tokens));
    assertTrue(Arrays.stream(tokens).noneMatch(token -> token < 3), "special tokens are text");
  }

  @Test
  void unknownCharactersAreBytesOrOneToken() {
    ObjectNode json = TinyPieces.unigram();
    JsonTokenizer unknown = of(json);
    int space = unknown.encode(" ")[0];
    assertArrayEquals(new int[] {space, 0, space, 0}, unknown.encode("🦙🦙 🦙"));
    ((ObjectNode) json.get("model")).put("byte_fallback", true);
    assertArrayEquals(
        new int[] {space, 3 + 0xf0, 3 + 0x9f, 3 + 0xa6, 3 + 0x99}, of(json).encode("🦙"));
  }

  @Test
  void onlySomeCharactersMaySpellSpecialTokens() {
    JsonTokenizer tokenizer = of(TinyPieces.pairs());
    String text = "<s>a<s></s>";
    BitSet literal = new BitSet();
    literal.set(3, 5);
    int[] tokens = tokenizer.encodeWithSpecialTokens(text, literal);
    assertEquals(1, tokens[0]);
    assertEquals(2, tokens[tokens.length - 1]);
    assertEquals(1, Arrays.stream(tokens).filter(token -> token == 1).count());
    assertEquals("a<s>", tokenizer.decode(tokens));
    assertArrayEquals(
        tokenizer.encodeWithSpecialTokens(text),
        tokenizer.encodeWithSpecialTokens(text, new BitSet()));
  }

  /** Of a whole text; what goes on with one keeps its space. */
  @Test
  void onlyTheFirstSpaceIsDropped() {
    JsonTokenizer tokenizer = of(TinyPieces.pairs());
    int[] tokens = tokenizer.encode("the the");
    assertEquals("the the", tokenizer.decode(tokens));
    Utf8Stream goingOn = new Utf8Stream();
    assertEquals(" the", goingOn.append(tokenizer.bytesOf(tokens[0])));
    Utf8Stream text = tokenizer.decoding();
    assertEquals("", text.append(new byte[0]));
    assertEquals("the", text.append(tokenizer.bytesOf(tokens[0])));
    assertEquals(" the", text.append(tokenizer.bytesOf(tokens[1])));
    assertEquals("", text.end());
    assertEquals("the", text.append(tokenizer.bytesOf(tokens[0])), "the next text");
  }

  @Test
  void longTextsTakeLinearTime() {
    for (ObjectNode json : List.of(TinyPieces.pairs(), TinyPieces.unigram())) {
      JsonTokenizer tokenizer = of(json);
      for (String unit : List.of("x", "the")) {
        String text = unit.repeat(1_000_000 / unit.length());
        int[] tokens = assertWithin(Duration.ofSeconds(20), () -> tokenizer.encode(text));
        assertTrue(tokens.length > 0);
      }
    }
  }

  /** Every way to cut a name in two is a merge. */
  @Test
  void scoresThatAllowTooManyMerges() {
    List<Object> tokens = new ArrayList<>();
    for (int value = 0; value < 256; value++) {
      tokens.add(String.format("<0x%02X>", value));
    }
    IntStream.rangeClosed(1, 2900).forEach(length -> tokens.add("a".repeat(length)));
    Map<String, Object> metadata = new HashMap<>();
    metadata.put("tokenizer.ggml.model", "llama");
    metadata.put("tokenizer.ggml.tokens", tokens);
    metadata.put("tokenizer.ggml.scores", Collections.nCopies(tokens.size(), 0f));
    DataException e =
        assertThrows(DataException.class, () -> ReleasedTokenizer.ofGguf(metadata, "FILE"));
    assertTrue(e.getMessage().contains("more than 4000000 merges"), e.getMessage());
  }

  @Test
  void refusesWhatItCannotRead() throws IOException {
    pairs("has byte_fallback, but no decoder ByteFallback", json -> decoders(json).remove(1));
    pairs(
        "has neither byte_fallback nor an unk_token",
        json -> model(json).put("byte_fallback", false).putNull("unk_token"));
    pairs(
        "has no token for the byte 65",
        json -> ((ObjectNode) model(json).get("vocab")).put("q", 68).remove("<0x41>"));
    pairs(
        "unsupported decoder {\"type\":\"Strip\"",
        json -> ((ObjectNode) decoders(json).get(3)).put("start", 2));
    pairs("Strip, behind Fuse,", json -> decoders(json).insert(0, decoders(json).remove(3)));
    pairs(
        "a Replace of \u2581 by a space",
        json -> ((ObjectNode) decoders(json).get(0)).put("content", "_"));
    pairs("unsupported decoder \"Fuse\"", json -> json.putObject("decoder").put("type", "Fuse"));
    pairs(
        "unsupported decoder beside ByteLevel \"Replace\"",
        json -> decoders(json).addObject().put("type", "ByteLevel"));
    pairs(
        "unsupported pre-tokenizer \"ByteLevel\", expected one of Split, Digits, WhitespaceSplit",
        json -> json.set("pre_tokenizer", TinyTokenizer.byteLevel(false, true)));
    pairs(
        "unsupported prepend_scheme \"last\"",
        json -> json.set("pre_tokenizer", TinyPieces.metaspace("last", true)));
    pairs(
        "unsupported prepend_scheme {}",
        json -> {
          ObjectNode metaspace = TinyPieces.metaspace("last", true);
          metaspace.putObject("prepend_scheme");
          json.set("pre_tokenizer", metaspace);
        });
    pairs(
        "unsupported replacement of Metaspace \"_\"",
        json ->
            json.set("pre_tokenizer", TinyPieces.metaspace("first", true).put("replacement", "_")));
    pairs(
        "has a pre-tokenizer before Metaspace with prepend_scheme first",
        json -> {
          ObjectNode sequence = TinyTokenizer.split("Regex", "a", "Isolated", false);
          sequence.withArray("pretokenizers").set(1, TinyPieces.metaspace("first", true));
          json.set("pre_tokenizer", sequence);
        });
    pairs(
        "has normalizers that make a text too long",
        json -> {
          ArrayNode steps = normalizers(json);
          for (int i = 0; i < 3; i++) {
            steps.add(((ObjectNode) steps.get(1).deepCopy()).put("content", "a".repeat(10)));
          }
        });
    pairs(
        "expected a text of at most 64 characters",
        json -> ((ObjectNode) normalizers(json).get(0)).put("prepend", "a".repeat(65)));
  }

  @Test
  void refusesDamagedScores() {
    unigram(
        "has the token number 3, which is not a name and a score", scores -> scores.set(3, "a"));
    unigram(
        "has the token number 4, which is not a name and a score",
        scores -> ((ArrayNode) scores.get(4)).set(1, "a"));
    unigram(
        "has the token number 4, which is not a name and a score",
        scores -> ((ArrayNode) scores.get(4)).add(1));
    unigram(
        "the score 1.0E300, expected a float32",
        scores -> ((ArrayNode) scores.get(4)).set(1, TinyTokenizer.MAPPER.valueToTree(1e300)));
    unigram("has the token \"<s>\" twice", scores -> scores.addArray().add("<s>").add(0));
    unigram(
        "of 257 characters, expected at most 256",
        scores -> scores.addArray().add("a".repeat(257)).add(0));
    ObjectNode json = TinyPieces.unigram();
    for (String unknown : new String[] {"-1", "100000", "null", "\"<unk>\""}) {
      model(json).set("unk_id", TinyTokenizer.MAPPER.readTree(unknown));
      refused("has the unk_id " + unknown + ", expected one of its tokens", json);
    }
  }

  /** Its offsets may lead anywhere. */
  @Test
  void damagedTablesOfReplacementsChangeTextButEndNothing() throws IOException {
    byte[] table =
        ReleasedTokenizersTest.golden("sentencepiece")
            .path("vocabularies")
            .path("rules")
            .path("precompiled_charsmap")
            .binaryValue();
    ObjectNode json = TinyPieces.unigram();
    ObjectNode step = json.putObject("normalizer").put("type", "Precompiled");
    String text = "\uff21 \ufb01 e\u0301 a\u0308 \t\u00a0";
    for (int at = 4; at < table.length; at += 13) {
      byte[] damaged = table.clone();
      damaged[at] ^= (byte) 0xa5;
      step.put("precompiled_charsmap", damaged);
      assertTrue(of(json).encode(text).length > 0);
    }
    step.put("precompiled_charsmap", Arrays.copyOf(table, 40));
    refused("precompiled_charsmap of no or a damaged table", json);
    step.put("precompiled_charsmap", "?");
    refused("precompiled_charsmap that is not Base64", json);
    byte[] tooLong = Arrays.copyOf(table, table.length + 300);
    Arrays.fill(tooLong, table.length, tooLong.length, (byte) 'a');
    step.put("precompiled_charsmap", tooLong);
    refused("with a replacement of more than 256 bytes", json);
  }

  private static void pairs(String expected, Consumer<ObjectNode> change) {
    ObjectNode json = TinyPieces.pairs();
    change.accept(json);
    refused(expected, json);
  }

  private static void unigram(String expected, Consumer<ArrayNode> change) {
    ObjectNode json = TinyPieces.unigram();
    change.accept((ArrayNode) model(json).get("vocab"));
    refused(expected, json);
  }

  private static void refused(String expected, ObjectNode json) {
    DataException e = assertThrows(DataException.class, () -> of(json));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  private static JsonTokenizer of(ObjectNode json) {
    return JsonTokenizer.of(TinyTokenizer.MAPPER.writeValueAsBytes(json), "FILE");
  }

  private static ObjectNode model(ObjectNode json) {
    return (ObjectNode) json.get("model");
  }

  private static ArrayNode decoders(ObjectNode json) {
    return (ArrayNode) json.get("decoder").get("decoders");
  }

  private static ArrayNode normalizers(ObjectNode json) {
    return (ArrayNode) json.get("normalizer").get("normalizers");
  }
}
