package panamoe.lab.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Tests that PyTorch's peers agree with each other and report what a machine lacks. */
@Tag("slow")
class PeerScriptTest {
  private static final Path PYTHON = Path.of("/usr/bin/python3");
  private static final int WITHOUT_PYTORCH = 77;

  @Test
  void thePeersOfALayerAgree() throws Exception {
    assumeTrue(Files.isExecutable(PYTHON));
    String script = PeerProcess.python("lab/peers/check.py", "cpu").get(2);
    Process process =
        new ProcessBuilder(PYTHON.toString(), "-B", script).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int exit = process.waitFor();
    assumeTrue(exit != WITHOUT_PYTORCH);
    assertEquals(0, exit, said);
  }
}
