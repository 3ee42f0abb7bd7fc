package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.tokenizer.AddedTokenMatching;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Tokenizers of released models give the recorded tokens of Hugging Face's library (tokenizers
 * 0.23) on 70 texts of many languages, code, emoji, spaces, and special tokens. ci/fetch/tokenizers
 * fetches the vocabularies; without them these tests fail with a message.
 */
class ReleasedTokenizersTest {
  private static final JsonMapper MAPPER = JsonMapper.shared();
  private static final Path FETCHED = Path.of("..", "build", "tokenizers");

  @ParameterizedTest
  @CsvSource({
    "qwen3, <|im_end|>",
    "gptoss, <|endoftext|>",
    "deepseek_v3, <｜end▁of▁sentence｜>",
    "llama3_1, <|end_of_text|>",
    "llama2, </s>",
    "gemma3, <eos>"
  })
  void givesTheRecordedTokens(String name, String endOfText) throws IOException {
    Path file = FETCHED.resolve(name + ".json");
    assertTrue(
        Files.exists(file),
        () -> "there is no " + file + ": run ci/fetch/tokenizers, which fetches it by npm");
    JsonTokenizer tokenizer = JsonTokenizer.load(file, endOfText);
    JsonNode texts = golden("tokenizers/texts");
    JsonNode cases = golden("tokenizers/" + name).path("cases");
    assertEquals(70, cases.size());
    for (Map.Entry<String, JsonNode> entry : cases.properties()) {
      String text = texts.path(entry.getKey()).stringValue();
      JsonNode expected = entry.getValue();
      int[] ids = ids(expected.path("ids"));
      assertArrayEquals(ids, tokenizer.encodeWithSpecialTokens(text), entry.getKey());
      int[] plain = expected.has("ids_plain") ? ids(expected.path("ids_plain")) : ids;
      int[] ours = tokenizer.encode(text, AddedTokenMatching.NONE);
      assertArrayEquals(plain, ours, entry.getKey());
      // The recorded text has special tokens, which decode to nothing here.
      String decoded = expected.has("ids_plain") ? text : expected.path("decoded").asString(text);
      assertEquals(decoded, tokenizer.decode(ours), entry.getKey());
      assertEquals(decoded, tokenizer.decode(tokenizer.encode(text)), entry.getKey());
    }
  }

  /** For the others the replay of recorded tokens checks the prefix. */
  @Test
  void aFolderSaysHowItsTextsBeginAndEnd(@TempDir Path folder) throws IOException {
    Files.copy(FETCHED.resolve("llama2.json"), folder.resolve("tokenizer.json"));
    Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [2, 7]}");
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    assertArrayEquals(new int[] {1}, tokenizer.prefix());
    assertArrayEquals(new int[] {2, 7}, tokenizer.ends());
  }

  static int[] ids(JsonNode array) {
    return MAPPER.convertValue(array, int[].class);
  }

  static JsonNode golden(String name) throws IOException {
    try (InputStream in =
        ReleasedTokenizersTest.class.getResourceAsStream("/golden/" + name + ".json")) {
      return MAPPER.readTree(in);
    }
  }
}
