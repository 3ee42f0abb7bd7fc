package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.abi.NativeBackend;
import panamoe.harness.CommandRun;

/**
 * {@code train} with a GPU for each rank, on emulated hardware: CUDA's kernels on the emulation of
 * four GPUs, and NCCL by a stand-in library between threads ({@code native/test/nccl_threads}).
 * With {@code -Dpanamoe.test.cards=cuda} it uses the machine's GPUs and NCCL, for as many ranks as
 * there are GPUs.
 */
@Tag("slow")
public class GpuTrainCommandTest {
  private static final String PROPERTY = "panamoe.nccl.path";
  private static final String GPUS = System.getProperty("panamoe.test.cards", "simt");

  /** The second step's loss depends on the first step's gradients. */
  private static final int STEPS = Boolean.getBoolean("panamoe.test.long") ? 5 : 2;

  public static final Path LIBRARY =
      Path.of(
          System.getProperty(
              "panamoe.nccl.threads",
              Path.of("..", "native", "build", "release", "libnccl_threads.so")
                  .toAbsolutePath()
                  .toString()));

  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void takeTheTestLibrary() throws IOException {
    if (GPUS.equals("simt")) {
      System.setProperty(PROPERTY, LIBRARY.toString());
    }
    text =
        Files.writeString(
            folder.resolve("text.txt"), "the committee thanks its members.\n".repeat(900));
  }

  @AfterEach
  void forget() {
    System.clearProperty(PROPERTY);
  }

  private CommandRun train(String name, String options) {
    return CommandRun.of(
        ("train --preset tiny --text " + text + " --out " + folder.resolve(name) + " " + options)
            .split(" "));
  }

  private List<Double> losses(String name) throws IOException {
    return Losses.of(folder.resolve(name));
  }

  /**
   * Experts over all ranks, in groups with replicas, and sliced with the attention; also in
   * bfloat16.
   */
  @ParameterizedTest
  @CsvSource({
    "--ranks 2,f32,1e-4",
    "--ranks 4 --ep 2,f32,1e-4",
    "--ranks 4 --nodes 2 --exchange hierarchical --overlap 2,f32,1e-4",
    "--ranks 4 --tp 2 --ep 4 --nodes 2 --exchange hierarchical,f32,1e-4",
    "--ranks 2 --tp 2 --slice-experts,bf16,1e-2",
  })
  void theLossesAreThoseOfOneRank(String ranks, String dtype, double tolerance) throws IOException {
    assumeGpu(Integer.parseInt(ranks.split(" ")[1]));
    CommandRun one = train("one", "--steps " + STEPS + " --device cpu --dtype " + dtype);
    assertEquals(0, one.exitCode(), one.err());
    Path trace = folder.resolve("trace.json");
    CommandRun many =
        train(
            "many",
            "--steps %d --comm nccl --device %s --dtype %s --trace %s %s"
                .formatted(STEPS, GPUS, dtype, trace, ranks));
    assertEquals(0, many.exitCode(), many.err());
    assertEquals(
        ranks.contains("hierarchical"), Files.readString(trace).contains("\"HIERARCHICAL\""));
    assertTrue(many.out().contains("trained " + STEPS + " steps"), many.out());
    List<Double> expected = losses("one");
    List<Double> actual = losses("many");
    assertEquals(STEPS, actual.size());
    for (int step = 0; step < STEPS; step++) {
      assertEquals(expected.get(step), actual.get(step), tolerance, "step " + (step + 1));
    }
  }

  private static void assumeGpu(int number) {
    try (NativeBackend _ = NativeBackend.open(GPUS, 1, number - 1)) {
      // GPU 0 exists.
    } catch (IllegalArgumentException e) {
      Assumptions.abort(e.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--ranks 2 --device cpu | --device cpu is not a GPU, and every rank that NCCL joins needs one",
        "--ranks 2 --device reference | --device reference is not a GPU, and every rank that NCCL joins needs one",
        "--ranks 2 --device cuda | panamoe train: --device cuda: ",
        "--ranks 8 --device simt | rank 7 of this machine needs its own GPU: moe_device_open: ordinal is 7",
      })
  void whatIsMissingIsOneSentence(String options, String expected) {
    assertRefused(2, "--comm nccl " + options, expected);
  }

  @Test
  void withoutNcclOneSentenceSaysWhereItWasLookedFor() {
    System.setProperty(PROPERTY, "/nowhere");
    assertRefused(1, "--comm nccl --ranks 2 --device simt", "NCCL is not there: no file /nowhere");
  }

  private void assertRefused(int exitCode, String options, String expected) {
    CommandRun refused = train("run", options);
    assertEquals(exitCode, refused.exitCode(), refused.toString());
    assertTrue(refused.err().contains(expected), refused.err());
    assertFalse(refused.err().contains("(MOE_"), "a name of the C ABI: " + refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }
}
