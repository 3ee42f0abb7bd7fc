package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.data.ReleasedTokenizersTest.golden;
import static panamoe.data.ReleasedTokenizersTest.ids;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.tokenizer.AddedTokenMatching;
import panamoe.data.tokenizer.Pipeline;
import panamoe.io.DataException;
import panamoe.open.TokenizerFiles;
import tools.jackson.databind.JsonNode;

/** Folders with SentencePiece's file and no tokenizer.json give SentencePiece's recorded tokens. */
class SentencePieceFolderTest {
  @TempDir private Path folder;

  /** Also after the conversion that a run keeps. */
  @ParameterizedTest
  @ValueSource(strings = {"bpe_bytes", "bpe_own", "bpe_rules", "unigram_rules", "unigram_bytes"})
  void givesTheRecordedTokens(String name) throws IOException {
    JsonNode recorded = golden("sentencepiece/ids");
    JsonNode texts = golden("tokenizers/texts");
    Path file = Files.write(folder.resolve("tokenizer.model"), model(name));
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    Pipeline converted = Pipeline.read(ReleasedTokenizer.json(file), "CONVERTED");
    JsonNode model = recorded.path("models").path(name);
    assertEquals(model.path("pieces").intValue(), tokenizer.vocabularySize());
    assertTrue(model.path("cases").size() >= 74);
    for (Map.Entry<String, JsonNode> entry : model.path("cases").properties()) {
      JsonNode own = recorded.path("texts").path(entry.getKey());
      String text = own.asString(texts.path(entry.getKey()).asString(""));
      int[] expected = ids(entry.getValue());
      assertArrayEquals(expected, tokenizer.encode(text), entry.getKey());
      assertArrayEquals(
          expected, converted.encode(text, AddedTokenMatching.ALL_BUT_SPECIAL), entry.getKey());
      if (name.equals("bpe_bytes") && text.indexOf('\u2581') < 0) {
        String wellFormed = new String(Utf8.bytes(text), StandardCharsets.UTF_8);
        assertEquals(wellFormed, tokenizer.decode(expected), entry.getKey());
      }
    }
  }

  @Test
  void beginsAndEndsAsTheFileSays() throws IOException {
    write("bpe_bytes");
    JsonTokenizer pairs = ReleasedTokenizer.ofFolder(folder);
    assertArrayEquals(new int[] {1}, pairs.prefix());
    assertArrayEquals(new int[] {2}, pairs.ends());
    // T5's file has another name, and no beginning of a text.
    Files.delete(folder.resolve("tokenizer.model"));
    Files.write(folder.resolve("spiece.model"), model("unigram_rules"));
    JsonTokenizer unigram = ReleasedTokenizer.ofFolder(folder);
    assertArrayEquals(new int[0], unigram.prefix());
    assertArrayEquals(new int[] {1}, unigram.ends());
  }

  /** In its folder, and in a folder that export writes. */
  @Test
  void aRunKeepsATokenizerJson(@TempDir Path run) throws IOException {
    write("unigram_rules");
    Map<String, byte[]> files = new TokenizerFiles(folder, true).contents();
    assertEquals(Set.of("tokenizer.json", "generation_config.json"), files.keySet());
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      Files.write(run.resolve(file.getKey()), file.getValue());
    }
    String text = "The <sep> \n ﬁrst 가";
    Tokenizer kept = TokenizerFiles.of(run).tokenizer().orElseThrow();
    assertArrayEquals(ReleasedTokenizer.ofFolder(folder).encode(text), kept.encode(text));
    assertArrayEquals(new int[] {1}, kept.ends());
  }

  @Test
  void tokenizerConfigAddsTokens() throws IOException {
    write("bpe_bytes");
    int next = ReleasedTokenizer.ofFolder(folder).vocabularySize();
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        """
        {"eos_token": "<|end|>", "added_tokens_decoder": {
          "2": {"content": "</s>", "special": true},
          "%d": {"content": "<|end|>", "special": true, "rstrip": true},
          "%d": {"content": "<tool>", "special": false}}}
        """
            .formatted(next, next + 1));
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    assertEquals(next + 2, tokenizer.vocabularySize());
    assertArrayEquals(new int[] {next}, tokenizer.ends());
    assertArrayEquals(new int[] {next, 2}, tokenizer.encodeWithSpecialTokens("<|end|>  </s>"));
    assertArrayEquals(new int[] {next + 1}, tokenizer.encode("<tool>"));
    Files.writeString(
        folder.resolve("tokenizer_config.json"), "{\"added_tokens_decoder\": {\"x\": {}}}");
    refuses("goes with a tokenizer_config.json that adds a token with the number \"x\"");
  }

  /** Gemma's lists its pieces of white space again. */
  @Test
  void tokenizerConfigRepeatsPieces() throws IOException {
    write("bpe_own");
    int[] tokens = ReleasedTokenizer.ofFolder(folder).encode("a    b <sep>");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        """
        {"added_tokens_decoder": {"%d": {"content": "▁▁▁▁", "normalized": false}}}
        """
            .formatted(tokens[1]));
    assertEquals(5, tokens.length);
    assertArrayEquals(tokens, ReleasedTokenizer.ofFolder(folder).encode("a    b <sep>"));
  }

  @Test
  void refusesWhatItDoesNotSupport() throws IOException {
    Path file = folder.resolve("tokenizer.model");
    byte[] model = model("bpe_bytes");
    for (int length : new int[] {1, 100, model.length - 1}) {
      Files.write(file, Arrays.copyOf(model, length));
      refuses("is truncated, or not a model of SentencePiece");
    }
    Files.writeString(file, "IQ== 0\nIg== 1\n"); // Llama 3's own form
    refuses("is truncated, or not a model of SentencePiece");
    Files.write(file, new byte[0]);
    refuses("is truncated, or not a model of SentencePiece");
    // A later value of a field replaces an earlier one.
    append("12021803");
    refuses("has a model of the kind word, expected Unigram or BPE");
    append("12021804");
    refuses("has a model of the kind char, expected Unigram or BPE");
    append("1205" + "1802" + "c00101");
    refuses("puts spaces behind words");
    append("1a022800");
    refuses("puts spaces behind words, or keeps them");
    append("2a03120178");
    refuses("has a denormalizer");
  }

  /** A file with changed bytes is refused in a sentence, or encodes all text. */
  @Test
  void damagedFilesAreRefusedOrEncode() throws IOException {
    byte[] model = model("unigram_rules");
    int read = 0;
    for (int seed = 0; seed < 400; seed++) {
      Random random = new Random(seed);
      byte[] damaged =
          Arrays.copyOf(model, seed % 4 == 0 ? random.nextInt(model.length) : model.length);
      for (int change = random.nextInt(8); change > 0 && damaged.length > 0; change--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
      }
      Files.write(folder.resolve("tokenizer.model"), damaged);
      try {
        ReleasedTokenizer.ofFolder(folder).encode("The hat\ud800 ﬁ  가e\u0301<sep>x");
        read++;
      } catch (DataException e) {
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
      }
    }
    assertTrue(read > 40 && read < 360, "read " + read);
  }

  private void refuses(String expected) {
    DataException e = assertThrows(DataException.class, () -> ReleasedTokenizer.ofFolder(folder));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  private void write(String name) throws IOException {
    Files.write(folder.resolve("tokenizer.model"), model(name));
  }

  private void append(String field) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(model("bpe_bytes"));
    bytes.write(HexFormat.of().parseHex(field));
    Files.write(folder.resolve("tokenizer.model"), bytes.toByteArray());
  }

  private static byte[] model(String name) throws IOException {
    return Files.readAllBytes(
        Path.of("src", "test", "resources", "golden", "sentencepiece", name + ".model"));
  }
}
