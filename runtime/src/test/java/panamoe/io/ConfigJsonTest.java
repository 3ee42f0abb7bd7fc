package panamoe.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;

class ConfigJsonTest {
  private static final String KEYS =
      "an object with \"vocabulary\", \"context\", \"hidden\", \"embedding\", \"blocks\", \"finalNorm\","
          + " \"head\", \"initialWeights\"";

  @TempDir private Path folder;

  @Test
  void readsWhatItWrites() throws IOException {
    ModelConfig config = ModelPresets.of(Size.TINY, Architecture.PR_MOE, 257);
    Path file = Files.writeString(folder.resolve("model.json"), ConfigJson.text(config));
    assertEquals(config, ConfigJson.read(file, ModelConfig.class));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"hidden\" : 64 | \"hidden\" : null | at $.hidden: expected a whole number",
        "\"hidden\" : 64 | \"hidden\" : \"64\" | at $.hidden: expected a whole number",
        "\"hidden\" : 64 | \"hidden\" : 64.5 | at $.hidden: expected a whole number",
        "\"hidden\" : 64, | | at $.hidden: this key is missing",
        "\"hidden\" : 64 | \"hidden\" : 0 | hidden is 0, expected 1 to 131072",
        "\"hidden\" : 64 | \"hidden\" : 64, \"hiden\" : 64 | unknown key \"hiden\" at $.hiden; did you mean \"hidden\"?",
        "\"tied\" : true | \"tied\" : true, \"width\" : 1 | unknown key \"width\" at $.head.width; known here: [tied, bias, scale, softCap, labels]",
        "\"residual\" | \"rest\" | unknown key \"rest\" at $.blocks[1].feedForward.rest; known here: [kind, experts, inner, activation, bias, gate, shared, residual]",
        "\"hidden\" | \"hiden\" | at $.hidden: this key is missing, and \"hiden\" is unknown; did you mean \"hidden\"?",
        "\"tied\" | \"width\" | at $.head.tied: this key is missing, and \"width\" is unknown; known here: [tied, bias, scale, softCap, labels]",
        "\"topK\" | \"top\" | at $.blocks[1].feedForward.gate.topK: this key is missing, and \"top\" is unknown; did you mean \"topK\"?",
        "\"activation\" : \"GELU_TANH\" | \"activation\" : {\"kind\" : \"RELU\"} | at $.blocks[0].feedForward.activation: write \"RELU\" instead of an object, which only SWIGLU may be",
        "\"activation\" : \"GELU_TANH\" | \"activation\" : {\"kind\" : \"SWIGLU\", \"limit\" : 7} | at $.blocks[0].feedForward.activation: write \"SWIGLU\", or an object with all of kind, limit, alpha and upOffset",
        "\"sinks\" : false | \"sinks\" : false, \"scale\" : 0 | at $.blocks[0].attention.scores: scale is 0.0, expected a positive float32",
        "\"sinks\" : false | \"sinks\" : false, \"scale\" : -1 | at $.blocks[0].attention.scores: scale is -1.0, expected a positive float32",
        "\"tied\" : true | \"tied\" : 1 | at $.head.tied: expected true or false",
        "\"kind\" : \"LAYER\" | \"kind\" : \"BATCH\" | at $.blocks[0].attentionNorm.kind: expected one of [\"LAYER\",",
        "\"kind\" : \"MOE\" | \"kind\" : \"MOA\" | at $.blocks[1].feedForward: kind is \"MOA\", expected one of \"DENSE\",",
        "\"kind\" : \"DENSE\", | | at $.blocks[0].feedForward: \"kind\" is missing, expected one of \"DENSE\",",
        "\"tied\" : true, | \"tied\" : true,, | ',' is not expected here (line",
        "\"hidden\" : 64 | \"hidden\" : 64, \"hidden\" : 64 | a key is there twice: 'hidden' (line 4, column",
        "\"hidden\" : 64 | \"hidden\" : 99999999999 | at $.hidden: the number is out of range",
        "\"hidden\" : 64 | \"hidden\" : NaN | NaN is no number in JSON (line 4, column 17)",
      })
  void saysWhatIsWrongInAFewWords(String before, String after, String expected) throws IOException {
    String text = ConfigJson.text(ModelPresets.of(Size.TINY, Architecture.PR_MOE, 257));
    String changed = text.replace(before, after == null ? "" : after);
    Path file = Files.writeString(folder.resolve("model.json"), changed);
    String message =
        assertThrows(IllegalArgumentException.class, () -> ConfigJson.read(file, ModelConfig.class))
            .getMessage();
    assertTrue(message.startsWith(file + ": " + expected), message);
    assertEquals(1, message.lines().count(), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`` | expected KEYS, not nothing",
        "` ` | expected KEYS, not nothing",
        "[] | expected KEYS",
        "1 | expected KEYS",
        "\"\" | expected KEYS",
        "null | expected KEYS, not null",
        "Once upon a time | expected KEYS, but 'Once' is no value in JSON",
        "<html> | expected KEYS, but '<' is not expected here",
        "{} | at $.vocabulary: this key is missing",
        "{} trailing | 'trailing' is no value in JSON (line 1, column 4)",
      })
  void refusesWhatIsNoConfig(String text, String expected) throws IOException {
    Path file = Files.writeString(folder.resolve("model.json"), text);
    String message =
        assertThrows(IllegalArgumentException.class, () -> ConfigJson.read(file, ModelConfig.class))
            .getMessage();
    assertEquals(file + ": " + expected.replace("KEYS", KEYS), message);
  }

  /** A record in a list, with an optional key. */
  record Entry(String name, int count, @Omittable String note) {}

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "null | : expected an array, not null",
        "{}   | : expected an array, not object",
        "\"a\" | : expected an array, not string",
        "``   | : expected an array, not nothing",
        "a    | : expected an array, but 'a' is no value in JSON",
        "[{\"name\": \"a\", \"count\": 1}, null] | , entry 1: expected an object with \"name\", \"count\", not null",
        "[2]  | , entry 0: expected an object with \"name\", \"count\"",
      })
  void refusesWhatIsNoList(String text, String expected) throws IOException {
    Path file = Files.writeString(folder.resolve("list.json"), text);
    String message =
        assertThrows(IllegalArgumentException.class, () -> ConfigJson.list(file, Entry.class))
            .getMessage();
    assertEquals(file + expected, message);
  }

  @Test
  void readsAList() throws IOException {
    Path file = Files.writeString(folder.resolve("list.json"), "[{\"name\": \"a\", \"count\": 1}]");
    assertEquals(List.of(new Entry("a", 1, null)), ConfigJson.list(file, Entry.class));
  }

  @Test
  void refusesAFileThatIsTooLong() throws IOException {
    Path file = Files.write(folder.resolve("long.json"), new byte[(1 << 24) + 1]);
    assertEquals(file + " is too long: it has more than 16777216 bytes", refusal(file));
  }

  /** Reading a pipe without a writer would block. */
  @Test
  void refusesWhatIsNoFile() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    Path link = Files.createSymbolicLink(folder.resolve("link"), pipe);
    for (Path device : List.of(pipe, link, Path.of("/dev/zero"))) {
      assertEquals(device + " is a device or pipe, not a regular file", refusal(device));
    }
    assertEquals(folder + " is a directory, not a regular file", refusal(folder));
  }

  @Test
  void readsAFileThroughALink() throws IOException {
    ModelConfig config = ModelPresets.of(Size.TINY, Architecture.PR_MOE, 257);
    Path file = Files.writeString(folder.resolve("model.json"), ConfigJson.text(config));
    Path link = Files.createSymbolicLink(folder.resolve("link"), file);
    assertEquals(config, ConfigJson.read(link, ModelConfig.class));
  }

  private static String refusal(Path file) {
    return assertThrows(
            IllegalArgumentException.class, () -> ConfigJson.read(file, ModelConfig.class))
        .getMessage();
  }
}
