package panamoe.open.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The variables of Hugging Face's programs. */
class HubSettingsTest {
  @TempDir private Path folder;

  private static HubSettings of(String... namesAndValues) {
    Map<String, String> variables = new HashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      variables.put(namesAndValues[i], namesAndValues[i + 1]);
    }
    return HubSettings.of(variables);
  }

  @Test
  void theCacheIsWhereOtherProgramsHaveIt() {
    assertEquals(Path.of("/u/.cache/huggingface/hub"), of("HOME", "/u").cache());
    assertEquals(Path.of("/x/huggingface/hub"), of("HOME", "/u", "XDG_CACHE_HOME", "/x").cache());
    assertEquals(
        Path.of("/h/hub"), of("HOME", "/u", "XDG_CACHE_HOME", "/x", "HF_HOME", "/h").cache());
    assertEquals(Path.of("/u/h/hub"), of("HOME", "/u", "HF_HOME", "~/h").cache());
    assertEquals(Path.of("/c"), of("HF_HOME", "/h", "HF_HUB_CACHE", "/c").cache());
    assertEquals(Path.of("/c"), of("HF_HOME", "/h", "HUGGINGFACE_HUB_CACHE", "/c").cache());
  }

  @Test
  void theTokenIsOfAVariableOrAFile() throws IOException {
    String home = folder.toString();
    assertNull(of("HF_HOME", home).token());
    Files.writeString(folder.resolve("token"), "hf_file\n");
    assertEquals("hf_file", of("HF_HOME", home).token());
    assertEquals("hf_old", of("HF_HOME", home, "HUGGING_FACE_HUB_TOKEN", "hf_old").token());
    assertEquals(
        "hf_new",
        of("HF_HOME", home, "HF_TOKEN", "hf_new", "HUGGING_FACE_HUB_TOKEN", "hf_old").token());
    assertFalse(of("HF_HOME", home).toString().contains("hf_file"));
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> of("HF_TOKEN", "a\nb"));
    assertTrue(refusal.getMessage().contains("a character that no token has"));
  }

  @Test
  void theEndpointAndTheNetworkCanBeSet() {
    assertEquals(URI.create("https://huggingface.co"), of().endpoint());
    assertEquals(
        URI.create("http://mirror:8/hf"), of("HF_ENDPOINT", "http://mirror:8/hf/").endpoint());
    assertFalse(of("HF_HUB_OFFLINE", "0").offline());
    assertTrue(of("HF_HUB_OFFLINE", "1").offline());
    assertTrue(of("TRANSFORMERS_OFFLINE", "true").offline());
    for (String wrong : List.of("mirror", "ftp://mirror", "http://", ":")) {
      assertThrows(IllegalArgumentException.class, () -> of("HF_ENDPOINT", wrong));
    }
  }

  @Test
  void proxiesAreOfTheEnvironmentUnlessAHostIsExcepted() {
    HubSettings settings =
        of("https_proxy", "http://proxy:3128", "NO_PROXY", "localhost, .example.com");
    Proxy proxy = new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("proxy", 3128));
    assertEquals(List.of(proxy), settings.proxies().select(URI.create("https://huggingface.co/a")));
    for (String direct :
        List.of("http://huggingface.co", "https://a.example.com", "https://localhost")) {
      assertEquals(List.of(Proxy.NO_PROXY), settings.proxies().select(URI.create(direct)));
    }
  }
}
