package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import panamoe.harness.train.GpuTrainCommandTest;

/**
 * generate and serve with a GPU for each rank, on emulated hardware as in {@link
 * GpuTrainCommandTest}, write the text of one GPU.
 */
@Timeout(300)
class GpuServeCommandTest {
  private static final String PROMPT = "The committee";

  @TempDir private static Path folder;
  private static String run;
  private static String expected;

  @BeforeAll
  static void train() throws IOException {
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "The committee thanks the members for the vote.\n".repeat(400));
    run = folder.resolve("writer").toString();
    CommandRun trained =
        CommandRun.of(
            "train", "--preset", "tiny", "--steps", "10", "--text", text.toString(), "--out", run);
    assertEquals(0, trained.exitCode(), trained.err());
    CommandRun alone = generate("--device", "simt");
    assertEquals(0, alone.exitCode(), alone.err());
    expected = TestServer.json(alone.out()).get("text").stringValue();
  }

  private static CommandRun generate(String... more) {
    return CommandRun.of(
        Stream.concat(
                Stream.of(
                    "generate",
                    "--model",
                    run,
                    "--prompt",
                    PROMPT,
                    "--max-tokens",
                    "12",
                    "--temperature",
                    "0",
                    "--json"),
                Stream.of(more))
            .toArray(String[]::new));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--ranks 2 --ep 2",
        "--ranks 2 --tp 2 --slice-experts",
        "--ranks 4 --ep 4 --nodes 2 --exchange hierarchical",
        "--ranks 4 --ep 4 --tp 2 --nodes 2 --exchange hierarchical"
      })
  void generateWritesTheTextOfOneGpu(String ranks) throws IOException {
    System.setProperty("panamoe.nccl.path", GpuTrainCommandTest.LIBRARY.toString());
    try {
      CommandRun many = generate(("--comm nccl --device simt " + ranks).split(" "));
      assertEquals(0, many.exitCode(), many.err());
      assertEquals(expected, TestServer.json(many.out()).get("text").stringValue());
    } finally {
      System.clearProperty("panamoe.nccl.path");
    }
  }

  /** Five requests at once, on four ranks: their number changes from step to step. */
  @Test
  void serveWritesTheTextOfOneGpu() throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
            SmallJvm.interruptible(
                Main.class,
                "serve",
                run,
                "--port",
                "0",
                "--json",
                "--comm",
                "nccl",
                "--device",
                "simt",
                "--ranks",
                "4",
                "--ep",
                "4"));
    builder.environment().put("PANAMOE_NCCL_PATH", GpuTrainCommandTest.LIBRARY.toString());
    Process process = builder.start();
    try (BufferedReader out = process.inputReader();
        HttpClient client = HttpClient.newHttpClient()) {
      URI completions =
          URI.create(TestServer.json(out.readLine()).get("url").stringValue() + "/v1/completions");
      HttpRequest request =
          HttpRequest.newBuilder(completions)
              .POST(
                  BodyPublishers.ofString(
                      "{\"prompt\":\"" + PROMPT + "\",\"max_tokens\":12,\"temperature\":0}"))
              .build();
      List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        answers.add(client.sendAsync(request, BodyHandlers.ofString()));
      }
      for (CompletableFuture<HttpResponse<String>> answer : answers) {
        assertEquals(
            expected, TestServer.json(answer.get().body()).at("/choices/0/text").stringValue());
      }
      new ProcessBuilder("kill", "-TERM", Long.toString(process.pid())).start().waitFor();
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "still running after 60 s");
      String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.exitValue(), err);
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void whatIsMissingIsOneSentence() {
    for (String[] options :
        new String[][] {
          {"--device cpu --ranks 2", "--device cpu is not a GPU, and every rank"},
          {"--device simt --ranks 5", "rank 4 of this machine needs its own GPU: moe_device_open"}
        }) {
      System.setProperty("panamoe.nccl.path", GpuTrainCommandTest.LIBRARY.toString());
      CommandRun refused = generate(("--comm nccl " + options[0]).split(" "));
      System.clearProperty("panamoe.nccl.path");
      assertEquals(2, refused.exitCode(), refused.toString());
      assertTrue(refused.err().contains(options[1]), refused.err());
      assertFalse(refused.err().contains("(MOE_"), refused.err());
      assertEquals(1, refused.err().lines().count(), refused.err());
    }
  }
}
