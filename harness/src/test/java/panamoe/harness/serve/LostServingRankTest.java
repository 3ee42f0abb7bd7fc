package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.train.RankProcesses;

/** When a rank of a server is killed, running requests get an error, and the other ranks end. */
@Tag("slow")
@Timeout(300)
class LostServingRankTest {
  private static final int CLIENTS = 4;
  private static final int BOUND_SECONDS = 10;
  private static final Pattern URL = Pattern.compile("\"url\":\"([^\"]+)\"");

  @TempDir private Path folder;

  @Test
  void runningRequestsNameAKilledRank() throws Exception {
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "The committee thanks the members for the vote.\n".repeat(400));
    String run = folder.resolve("writer").toString();
    CommandRun trained =
        CommandRun.of(
            "train", "--preset", "tiny", "--steps", "2", "--text", text.toString(), "--out", run);
    assertEquals(0, trained.exitCode(), trained.err());
    try (RankProcesses ranks = new RankProcesses(folder, "serve", run).withRecovery();
        ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      ranks.start(2, RankProcesses.ALIKE, "--comm", "mpi", "--ep", "2", "--port", "0", "--json");
      URI completions = URI.create(url(ranks) + "/v1/completions");
      CountDownLatch answered = new CountDownLatch(CLIENTS);
      List<Future<String>> last = new ArrayList<>();
      for (int client = 0; client < CLIENTS; client++) {
        last.add(clients.submit(() -> lastAnswer(completions, answered)));
      }
      answered.await();
      ProcessHandle leading = ranks.jvm(0).orElseThrow();
      ranks.jvm(1).orElseThrow().destroyForcibly();
      assertDoesNotThrow(() -> leading.onExit().get(BOUND_SECONDS, TimeUnit.SECONDS), ranks::said);
      assertNotEquals(0, ranks.await().status(), ranks::said);
      assertTrue(ranks.said().contains("rank 1 is gone"), ranks::said);
      List<String> answers = new ArrayList<>();
      for (Future<String> each : last) {
        answers.add(each.get());
      }
      assertTrue(
          answers.stream().anyMatch(answer -> answer.contains("rank 1 is gone")),
          answers::toString);
    }
  }

  private static String url(RankProcesses ranks) throws InterruptedException {
    while (true) {
      Matcher told = URL.matcher(ranks.said());
      if (told.find()) {
        return told.group(1);
      }
      assertTrue(ranks.running(), ranks::said);
      Thread.sleep(20);
    }
  }

  /**
   * Sends requests until one fails; returns the error, empty if the server ended without one.
   * Counts down once for each complete response.
   */
  private static String lastAnswer(URI completions, CountDownLatch answered)
      throws InterruptedException {
    try (HttpClient client = HttpClient.newHttpClient()) {
      while (true) {
        String body = "{\"prompt\":\"T\",\"max_tokens\":50,\"ignore_eos\":true,\"stream\":true}";
        HttpRequest request =
            HttpRequest.newBuilder(completions).POST(BodyPublishers.ofString(body)).build();
        String answer = client.send(request, BodyHandlers.ofString()).body();
        if (!answer.endsWith("data: [DONE]\n\n")) {
          return answer;
        }
        answered.countDown();
      }
    } catch (IOException e) {
      return "";
    }
  }
}
