package panamoe.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;

class ConfigJsonTest {
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
      value = {
        "\"hidden\" : 64 | \"hidden\" : null | at $.hidden: expected a whole number",
        "\"hidden\" : 64 | \"hidden\" : \"64\" | at $.hidden: expected a whole number",
        "\"hidden\" : 64 | \"hidden\" : 64.5 | at $.hidden: expected a whole number",
        "\"hidden\" : 64, | | at $.hidden: this key is missing",
        "\"hidden\" : 64 | \"hidden\" : 0 | at $: hidden is 0, expected 1 to 131072",
        "\"hidden\" : 64 | \"hidden\" : 64, \"hiden\" : 64 | unknown key \"hiden\" at $.hiden; known here: [",
        "\"tied\" : true | \"tied\" : 1 | at $.head.tied: expected true or false",
        "\"kind\" : \"LAYER\" | \"kind\" : \"BATCH\" | at $.blocks[0].attentionNorm.kind: expected one of [\"LAYER\",",
        "\"kind\" : \"MOE\" | \"kind\" : \"MOA\" | at $.blocks[1].feedForward: kind is \"MOA\", expected one of \"DENSE\",",
        "\"kind\" : \"DENSE\", | | at $.blocks[0].feedForward: \"kind\" is missing, expected one of \"DENSE\",",
        "\"tied\" : true, | \"tied\" : true,, | this is not JSON (line",
        "\"hidden\" : 64 | \"hidden\" : 64, \"hidden\" : 64 | a key is there twice: 'hidden' (line 4, column",
        "\"hidden\" : 64 | \"hidden\" : 99999999999 | at $.hidden: the number is out of range",
        "\"hidden\" : 64 | \"hidden\" : NaN | this is not JSON (line 4, column 17)",
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
      value = {
        "'' | at $: expected an object",
        "[] | at $: expected an object",
        "null | expected an object, not null",
        "{} trailing | at $.vocabulary: this key is missing",
      })
  void refusesWhatIsNoConfig(String text, String expected) throws IOException {
    Path file = Files.writeString(folder.resolve("model.json"), text);
    String message =
        assertThrows(IllegalArgumentException.class, () -> ConfigJson.read(file, ModelConfig.class))
            .getMessage();
    assertEquals(file + ": " + expected, message);
  }

  @Test
  void refusesAFileWithoutEnd() {
    Path endless = Path.of("/dev/zero");
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> ConfigJson.read(endless, ModelConfig.class))
            .getMessage();
    assertEquals("/dev/zero is too long: it has more than 16777216 bytes", message);
  }
}
