package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;

class NativePathTest {
  /** The error comes before any warning that plain Java computes. */
  @Test
  void aWrongPathIsRefusedInOneSentence() throws Exception {
    ProcessBuilder bench =
        new ProcessBuilder(SmallJvm.command(Main.class, "bench", "gate", "--tokens", "8"));
    bench.environment().put("PANAMOE_NATIVE_PATH", "/no/such/place");
    Process process = bench.start();
    String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(1, process.waitFor());
    assertEquals(
        "panamoe bench: there is no library /no/such/place (environment variable PANAMOE_NATIVE_PATH):"
            + " name the file libpanamoe.so or the folder that it is in",
        err.strip());
  }
}
