package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;

/** {@code train} and {@code generate} as a user runs them, on CUDA's kernels by emulation. */
@Tag("slow")
class EmulatedTrainingTest {
  @TempDir private Path folder;

  @Test
  void aRunHasTheLossesOfTheCpuAndItsOwnBitsAgain() throws IOException {
    Path text =
        Files.writeString(
            folder.resolve("text.txt"), "The committee thanks the members.\n".repeat(400));
    double[] emulated = losses(text, "simt", "first");
    assertArrayEquals(losses(text, "cpu", "cpu"), emulated, 1e-5);
    assertArrayEquals(emulated, losses(text, "simt", "second"), 0);
    assertEquals(written("cpu"), written("simt"));
  }

  private double[] losses(Path text, String device, String name) throws IOException {
    Path run = folder.resolve(name);
    CommandRun trained =
        CommandRun.of(
            "train",
            "--preset",
            "tiny",
            "--steps",
            "2",
            "--device",
            device,
            "--text",
            text.toString(),
            "--out",
            run.toString());
    assertEquals(0, trained.exitCode(), trained.err());
    return Losses.of(run).stream().mapToDouble(loss -> loss).toArray();
  }

  /** The greedy completion of the CPU's model on this device. */
  private String written(String device) {
    CommandRun run =
        CommandRun.of(
            "generate",
            "--model",
            folder.resolve("cpu").toString(),
            "--prompt",
            "The ",
            "--max-tokens",
            "8",
            "--top-k",
            "1",
            "--device",
            device);
    assertEquals(0, run.exitCode(), run.err());
    return run.out();
  }
}
