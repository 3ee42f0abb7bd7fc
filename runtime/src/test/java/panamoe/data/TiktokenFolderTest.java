package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.data.ReleasedTokenizersTest.golden;
import static panamoe.data.ReleasedTokenizersTest.ids;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.tokenizer.AddedTokenMatching;
import panamoe.data.tokenizer.Pipeline;
import panamoe.io.DataException;
import tools.jackson.databind.JsonNode;

/** Folders with Kimi's tiktoken.model give the tokens that tiktoken gave. */
class TiktokenFolderTest {
  private static final String CONFIG = "tokenizer_config.json";

  @TempDir private Path folder;
  private Path file;
  private JsonNode recorded;

  @BeforeEach
  void write() throws IOException {
    recorded = golden("tiktoken/ids");
    file = folder.resolve("tiktoken.model");
    try (InputStream in = getClass().getResourceAsStream("/golden/tiktoken/tiktoken.model")) {
      Files.copy(in, file);
    }
    Files.writeString(folder.resolve(CONFIG), recorded.path("config").toString());
  }

  /** Also after the conversion that a run keeps. */
  @Test
  void givesTheRecordedTokens() throws IOException {
    JsonNode texts = golden("tokenizers/texts");
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    Pipeline converted = Pipeline.read(ReleasedTokenizer.json(file), "CONVERTED");
    assertEquals(900 + 256, tokenizer.vocabularySize());
    assertArrayEquals(new int[0], tokenizer.prefix());
    assertEquals("[EOS]", tokenizer.special(tokenizer.endOfText()));
    assertEquals("<|reserved_token_1000|>", tokenizer.special(1000));
    assertTrue(recorded.path("cases").size() >= 75);
    for (Map.Entry<String, JsonNode> entry : recorded.path("cases").properties()) {
      JsonNode own = recorded.path("texts").path(entry.getKey());
      String text = own.asString(texts.path(entry.getKey()).asString(""));
      int[] expected = ids(entry.getValue().path("ids"));
      assertArrayEquals(expected, tokenizer.encodeWithSpecialTokens(text), entry.getKey());
      assertArrayEquals(expected, converted.encode(text, AddedTokenMatching.ALL), entry.getKey());
      JsonNode plain = entry.getValue().path("ids_plain");
      int[] ours = tokenizer.encode(text);
      assertArrayEquals(plain.isMissingNode() ? expected : ids(plain), ours, entry.getKey());
      String wellFormed = new String(Utf8.bytes(text), StandardCharsets.UTF_8);
      assertEquals(wellFormed, tokenizer.decode(ours), entry.getKey());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "IQ== 0 | ? 0 | has the line @? 0@, expected a token in Base64 and 0",
        "IQ== 0 | IQ== 1 | has the line @IQ== 1@, expected a token in Base64 and 0",
        "Ig== 1 | IQ== 1 | has the token @!@ twice",
        "IQ== 0 | %% 0 | has the line @%% 0@, expected a token in Base64 and 0",
      })
  void aDamagedFileIsRefused(String line, String damaged, String said) throws IOException {
    Files.writeString(file, Files.readString(file).replace(line, damaged));
    String refusal =
        assertThrows(DataException.class, () -> ReleasedTokenizer.ofFolder(folder)).getMessage();
    assertEquals(file + " " + said.replace('@', '"'), refusal);
  }

  /** The file does not say how its model splits text. */
  @Test
  void anotherModelsFileIsRefused() throws IOException {
    Files.writeString(folder.resolve(CONFIG), "{\"tokenizer_class\": \"QWenTokenizer\"}");
    String refusal =
        assertThrows(DataException.class, () -> ReleasedTokenizer.ofFolder(folder)).getMessage();
    assertTrue(refusal.contains("QWenTokenizer") && refusal.contains("Kimi's"), refusal);
  }
}
