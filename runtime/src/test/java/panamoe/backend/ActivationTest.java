package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ActivationTest {
  record Config(Activation activation) {}

  @Test
  void plainActivationsAreStrings() {
    for (Activation.Kind kind : Activation.Kind.values()) {
      Config config = read("{\"activation\": \"" + kind + "\"}");
      assertEquals(kind, config.activation.kind());
      assertTrue(config.activation.isPlain());
      assertEquals("\"" + kind + "\"", ConfigJson.tree(config).get("activation").toString());
    }
    assertEquals(Activation.SWIGLU, read("{\"activation\": \"SWIGLU\"}").activation);
  }

  @Test
  void parametersMakeAnObject() {
    Config config = new Config(Activation.clampedSwiglu(7, 1.702f, 1));
    JsonNode json = ConfigJson.tree(config);
    assertEquals(
        "{\"kind\":\"SWIGLU\",\"limit\":7.0,\"alpha\":1.702,\"upOffset\":1.0}",
        json.get("activation").toString());
    assertEquals(config, ConfigJson.read(json, Config.class, "config"));
    assertEquals(
        config,
        read("{\"activation\":{\"kind\":\"SWIGLU\",\"limit\":7,\"alpha\":1.702,\"upOffset\":1}}"));
    Config unclamped = new Config(Activation.clampedSwiglu(Float.POSITIVE_INFINITY, 2, 0));
    assertEquals(unclamped, ConfigJson.read(ConfigJson.tree(unclamped), Config.class, "config"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"SWISH\" | at $.activation: expected one of [\"IDENTITY\", \"RELU\",",
        "{\"kind\":\"SWIGLU\",\"limit\":7,\"alpha\":1} | at $.activation: write \"SWIGLU\", or an object with all of",
        "{\"kind\":\"SWIGLU\",\"limit\":0,\"alpha\":1,\"upOffset\":1} | limit is 0.0, expected more",
        "{\"kind\":\"GELU\"} | at $.activation: write \"GELU\" instead of an object",
        "{\"kind\":\"GELU\",\"limit\":7,\"alpha\":1,\"upOffset\":1} | write \"GELU\" instead of an object",
      })
  void refusesWhatIsNone(String json, String message) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> read("{\"activation\":" + json + "}"));
    assertTrue(refused.getMessage().contains(message), refused::getMessage);
  }

  private static Config read(String json) {
    try {
      return ConfigJson.read(JsonMapper.shared().readTree(json), Config.class, "config");
    } catch (tools.jackson.core.JacksonException e) {
      throw new AssertionError(e);
    }
  }
}
