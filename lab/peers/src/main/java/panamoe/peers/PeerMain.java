package panamoe.peers;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import panamoe.lab.bench.PeerRequest;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The main class of a peer's process, which {@code panamoe bench} starts. It reads one {@link
 * PeerRequest}, or a peer's special request, per line, and answers with the milliseconds of each
 * call or an error.
 */
public final class PeerMain {
  private PeerMain() {}

  public static void main(String[] args) throws IOException {
    PrintStream answers =
        new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    System.setOut(System.err); // libraries' output must not mix with the answers
    System.setProperty("ai.djl.offline", "true"); // libtorch is on the class path
    JsonMapper json = JsonMapper.shared();
    try (PeerRun run = PeerRun.of(args);
        BufferedReader questions =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      answers.println(json.writeValueAsString(Map.of(args[0], run.version())));
      for (String line = questions.readLine(); line != null; line = questions.readLine()) {
        answers.println(json.writeValueAsString(answer(run, json.readTree(line), json)));
      }
    }
  }

  private static Object answer(PeerRun run, JsonNode question, JsonMapper json) {
    try {
      return run.answer(question, json);
    } catch (Exception
        | OutOfMemoryError
            e) { // any exception of a library becomes the answer; the caller reports it
      return Map.of(
          "error", String.valueOf(e.getMessage()).lines().findFirst().orElse(e.toString()));
    }
  }
}
