package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.data.ReleasedTokenizersTest.golden;
import static panamoe.data.ReleasedTokenizersTest.ids;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.data.tokenizer.GgufTokenizer;
import panamoe.data.tokenizer.GgufTokenizerKeys;
import panamoe.data.tokenizer.TokenizerMetadata;
import panamoe.io.DataException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Tokenizers in GGUF metadata give the recorded tokens of llama.cpp and SentencePiece. */
class GgufTokenizersTest {
  private static final JsonMapper MAPPER = JsonMapper.shared();

  @ParameterizedTest
  @ValueSource(strings = {"gpt-2", "qwen2", "llama-bpe", "deepseek-v3", "gpt-4o", "spm"})
  void givesTheTokensOfLlamaCpp(String name) throws IOException {
    JsonNode texts = golden("tokenizers/texts");
    JsonNode cases = golden("tokenizers/gguf_vocab").path("vocabularies").path(name).path("cases");
    JsonTokenizer tokenizer = open(vocabulary(name));
    assertEquals(70, cases.size());
    for (Map.Entry<String, JsonNode> entry : cases.properties()) {
      String text = texts.path(entry.getKey()).stringValue();
      JsonNode expected = entry.getValue();
      int[] ids = ids(expected.path("ids"));
      assertArrayEquals(ids, tokenizer.encodeWithSpecialTokens(text), entry.getKey());
      int[] plain = expected.has("ids_plain") ? ids(expected.path("ids_plain")) : ids;
      assertArrayEquals(plain, tokenizer.encode(text), entry.getKey());
      int[] whole = expected.has("ids_add_special") ? ids(expected.path("ids_add_special")) : ids;
      assertArrayEquals(whole, joined(tokenizer.prefix(), ids), entry.getKey());
      String wellFormed = new String(Utf8.bytes(text), StandardCharsets.UTF_8);
      String decoded = name.equals("spm") ? wellFormed.replace('\u2581', ' ') : wellFormed;
      assertEquals(decoded, tokenizer.decode(plain), entry.getKey());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"plain", "rules"})
  void givesTheTokensOfSentencePiece(String name) throws IOException {
    JsonNode texts = golden("tokenizers/texts");
    JsonNode cases = golden("sentencepiece").path("vocabularies").path(name).path("cases");
    JsonTokenizer tokenizer = open(unigram(name));
    assertEquals(70, cases.size());
    for (Map.Entry<String, JsonNode> entry : cases.properties()) {
      int[] ours = tokenizer.encode(texts.path(entry.getKey()).stringValue());
      int[] theirs = ids(entry.getValue());
      if (entry.getKey().equals("long_a")) { // equal scores, in the recording too
        Arrays.sort(ours);
        Arrays.sort(theirs);
      }
      assertArrayEquals(theirs, ours, entry.getKey());
    }
  }

  @Test
  void streamsTextWithoutTheSpaceInFront() throws IOException {
    JsonTokenizer tokenizer = open(vocabulary("spm"));
    Utf8Stream stream = tokenizer.decoding();
    StringBuilder text = new StringBuilder();
    for (int token : tokenizer.encode(" two 今天 🦙")) {
      String piece = stream.append(tokenizer.bytesOf(token));
      assertTrue(piece.indexOf('\ufffd') < 0, piece);
      text.append(piece);
    }
    assertEquals(" two 今天 🦙", text.append(stream.end()).toString());
  }

  @Test
  void endsAndTemplates() throws IOException {
    Map<String, Object> metadata = vocabulary("gpt-2");
    metadata.put("tokenizer.ggml.eot_token_id", 677L);
    metadata.put("tokenizer.chat_template", "{{ a }}");
    metadata.put("tokenizer.chat_template.tool_use", "{{ b }}");
    JsonTokenizer tokenizer = open(metadata);
    assertEquals(676, tokenizer.endOfText());
    assertArrayEquals(new int[] {676, 678, 677}, tokenizer.ends());
    assertEquals(
        Map.of("default", "{{ a }}", "tool_use", "{{ b }}"),
        ReleasedTokenizer.chatTemplates(metadata));
    metadata.put("tokenizer.ggml.model", "no_vocab");
    assertEquals(Optional.empty(), ReleasedTokenizer.ofGguf(metadata, "FILE"));
  }

  /** Only a text that is read to its end has the tokens around it. */
  @Test
  void aTextMayHaveABeginningAndAnEnd() throws IOException {
    Map<String, Object> metadata = vocabulary("gpt-2");
    assertArrayEquals(new int[0], open(metadata).suffix());
    metadata.put("tokenizer.ggml.eos_token_id", 676L);
    metadata.put("tokenizer.ggml.add_eos_token", true);
    assertArrayEquals(new int[0], open(metadata).prefix());
    assertArrayEquals(new int[] {676}, open(metadata).suffix());
    metadata.put("tokenizer.ggml.bos_token_id", 677L);
    metadata.put("tokenizer.ggml.add_bos_token", true);
    assertArrayEquals(new int[] {677}, open(metadata).prefix());
    assertArrayEquals(new int[] {676}, open(metadata).suffix());
  }

  /** Qwen3's files name only the token that ends a message. */
  @Test
  void theEndOfADocumentNeedsNoKey() throws IOException {
    Map<String, Object> metadata = vocabulary("gpt-2");
    assertEquals("<|endoftext|>", list(metadata, "tokens").get(676));
    assertArrayEquals(new int[] {676, 678}, open(metadata).ends());
  }

  /** In GPT-OSS's format a token ends a message that elsewhere ends a turn. */
  @Test
  void turnsEndByTheNamesOfTokens() throws IOException {
    Map<String, Object> metadata = vocabulary("gpt-2");
    List<Object> tokens = list(metadata, "tokens");
    tokens.set(676, "<|end|>");
    assertArrayEquals(new int[] {678, 676}, open(metadata).ends());
    tokens.set(677, "<|return|>");
    assertArrayEquals(new int[] {678, 677}, open(metadata).ends());
  }

  @Test
  void everyFamilyOfPatternsEncodes() throws IOException {
    Map<String, Object> metadata = vocabulary("gpt-2");
    for (String family :
        List.of("olmo", "llama3", "dbrx", "tekken", "refact", "deepseek-llm", "deepseek-coder")) {
      metadata.put("tokenizer.ggml.pre", family);
      JsonTokenizer tokenizer = open(metadata);
      for (JsonNode text : golden("tokenizers/texts")) {
        String wellFormed = new String(Utf8.bytes(text.stringValue()), StandardCharsets.UTF_8);
        assertEquals(wellFormed, tokenizer.decode(tokenizer.encode(wellFormed)), family);
      }
    }
  }

  /** Granite's tokenizer.json splits digits first, and has GPT-2's pattern in ByteLevel. */
  @Test
  void digitsBeforeByteLevelHaveAName() throws IOException {
    ObjectNode json =
        (ObjectNode) MAPPER.readTree(GgufTokenizer.json(metadata("refact")).orElseThrow());
    ObjectNode splits = json.putObject("pre_tokenizer").put("type", "Sequence");
    ArrayNode stages = splits.putArray("pretokenizers");
    stages.addObject().put("type", "Digits").put("individual_digits", true);
    ObjectNode last = stages.addObject().put("type", "ByteLevel").put("add_prefix_space", false);
    assertEquals("refact", family(json));
    JsonTokenizer named = ReleasedTokenizer.ofGguf(metadata("refact").values(), "FILE").get();
    JsonTokenizer own = JsonTokenizer.of(MAPPER.writeValueAsBytes(json), "OWN");
    for (JsonNode text : golden("tokenizers/texts")) {
      assertArrayEquals(own.encode(text.stringValue()), named.encode(text.stringValue()));
    }
    last.put("use_regex", false);
    assertThrows(DataException.class, () -> family(json));
  }

  private static Object family(ObjectNode json) {
    return GgufTokenizerKeys.of(MAPPER.writeValueAsBytes(json), "FILE", 681).get("pre");
  }

  private static TokenizerMetadata metadata(String family) throws IOException {
    Map<String, Object> metadata = vocabulary("gpt-2");
    metadata.put("tokenizer.ggml.pre", family);
    return new TokenizerMetadata(metadata, "FILE");
  }

  @Test
  void refusesDamagedMetadata() throws IOException {
    refuses("gpt-2", "model", "bert", "unsupported tokenizer.ggml.model \"bert\"");
    refuses("gpt-2", "pre", "mine", "unsupported tokenizer.ggml.pre \"mine\", expected one of");
    refuses("gpt-2", "pre", 5L, "\"5\" for tokenizer.ggml.pre, expected a string");
    refuses("gpt-2", "tokens", null, "has no tokenizer.ggml.tokens");
    refuses("gpt-2", "tokens", "all", "for tokenizer.ggml.tokens, expected a list");
    refuses("gpt-2", "tokens", List.of(1, 2), "for tokenizer.ggml.tokens, expected texts");
    refuses("gpt-2", "tokens", List.of("a", "a"), "has the token \"a\" twice");
    refuses("gpt-2", "merges", List.of("a zz"), "but \"zz\" is not in its vocabulary");
    refuses("gpt-2", "merges", List.of("ab"), "merge number 0, which is not two tokens");
    refuses("gpt-2", "token_type", new int[] {1}, "expected one for each of 681 tokens");
    refuses("gpt-2", "eos_token_id", 681L, "eos_token_id, expected 0 to 680");
    refuses("gpt-2", "bos_token_id", -1L, "bos_token_id, expected 0 to 680");
    refuses("spm", "scores", null, "has no tokenizer.ggml.scores");
    refuses("spm", "scores", new float[3], "\"3 numbers\" for tokenizer.ggml.scores");
    refuses("spm", "add_space_prefix", "yes", "add_space_prefix, expected true or false");
    refuses("spm", "tokens", Collections.nCopies(734, "a"), "has the token \"a\" twice");
    Map<String, Object> metadata = vocabulary("spm");
    ((double[]) metadata.get("tokenizer.ggml.scores"))[300] = Double.NaN;
    refuses(metadata, "the score NaN, expected a float32");
    metadata = vocabulary("spm");
    list(metadata, "tokens").set(100, "zz");
    refuses(metadata, "has no token for the byte 97, so not every text can be encoded");
  }

  private static void refuses(String name, String key, Object value, String expected)
      throws IOException {
    Map<String, Object> metadata = vocabulary(name);
    metadata.put("tokenizer.ggml." + key, value);
    refuses(metadata, expected);
  }

  private static void refuses(Map<String, Object> metadata, String expected) {
    DataException e = assertThrows(DataException.class, () -> open(metadata));
    assertTrue(
        e.getMessage().startsWith("FILE ") && e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  private static JsonTokenizer open(Map<String, Object> metadata) {
    return ReleasedTokenizer.ofGguf(metadata, "FILE").orElseThrow();
  }

  @SuppressWarnings("unchecked")
  private static List<Object> list(Map<String, Object> metadata, String key) {
    return (List<Object>) metadata.get("tokenizer.ggml." + key);
  }

  private static int[] joined(int[] first, int[] second) {
    int[] all = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, all, first.length, second.length);
    return all;
  }

  private static Map<String, Object> unigram(String name) throws IOException {
    JsonNode vocabulary = golden("sentencepiece").path("vocabularies").path(name);
    String keys = "tokenizer.ggml.";
    Map<String, Object> metadata = new HashMap<>();
    metadata.put(keys + "model", "t5");
    metadata.put(keys + "tokens", MAPPER.convertValue(vocabulary.path("tokens"), String[].class));
    metadata.put(keys + "scores", MAPPER.convertValue(vocabulary.path("scores"), float[].class));
    metadata.put(keys + "token_type", ids(vocabulary.path("types")));
    metadata.put(keys + "unknown_token_id", 2);
    metadata.put(keys + "eos_token_id", 1);
    metadata.put(
        keys + "remove_extra_whitespaces", vocabulary.path("remove_extra_whitespaces").asBoolean());
    metadata.put(
        keys + "precompiled_charsmap",
        Base64.getDecoder().decode(vocabulary.path("precompiled_charsmap").stringValue()));
    return metadata;
  }

  /** The metadata of a recorded file, to modify. */
  private static Map<String, Object> vocabulary(String name) throws IOException {
    Path folder = Path.of("src", "test", "resources", "golden", "tokenizers", "gguf_vocab");
    try (GgufFile file = GgufFile.open(folder.resolve(name + ".gguf"))) {
      Map<String, Object> metadata = file.metadata().values();
      metadata.replaceAll(
          (_, value) -> value instanceof List<?> list ? new ArrayList<>(list) : value);
      return metadata;
    }
  }
}
