package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ServiceTimesTest {
  private static final Path FILE = Path.of("../golden/gguf/mixtral_text_f16.gguf");

  @ParameterizedTest
  @ValueSource(strings = {"ours", "java-llama"})
  @Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void everyCellHasATime(String library) throws Exception {
    String line = ServiceTimes.of(library, FILE, 1);
    assertTrue(
        line.matches(
            library
                + ": first token of the process \\d+\\.\\d\\d s, of a service \\d+\\.\\d ms; prefill"
                + " [1-9]\\d*, decode [1-9]\\d*\\.\\d, 16 chats [1-9]\\d* tokens/s"),
        line);
  }
}
