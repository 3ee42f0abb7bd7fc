package panamoe.harness;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PipedReader;
import java.io.PipedWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.io.StrictJson;

/**
 * Runs commands once while Java records what a start needs ({@code -XX:AOTCacheOutput}): those that
 * people wait for, with a small model that it trains before.
 */
public final class Rehearsal {
  private static final int WORDS = 40_000;
  private static final int LETTERS = 26;

  private Rehearsal() {}

  /**
   * @param args a new folder for the model
   */
  public static void main(String[] args) {
    int exitCode = 0;
    try {
      rehearse(Files.createDirectories(Path.of(args[0])));
    } catch (Exception e) {
      e.printStackTrace();
      exitCode = 1;
    }
    System.exit(exitCode); // Java keeps what it has recorded, even if a thread still waits
  }

  private static void rehearse(Path folder) throws Exception {
    Path text = Files.writeString(folder.resolve("text"), text());
    String run = folder.resolve("run").toString();
    String model = folder.resolve("model.gguf").toString();
    run("train --arch mixtral --preset tiny --steps 2 --vocabulary 2000 -o", run, "--text", text);
    run("export --to gguf --dtype q8_0", run, "-o", model);
    run("help");
    run("help train");
    execute(Writer.nullWriter(), "--unknown"); // is refused
    run("generate -p word -n 40", model);
    System.setIn(new ByteArrayInputStream("word\n".getBytes(UTF_8)));
    run("chat -n 40", model);
    serve(model);
  }

  /** Words of random letters, more of them than the tokenizer can merge. */
  private static String text() {
    Random random = new Random(1);
    return IntStream.range(0, WORDS)
        .mapToObj(_ -> Integer.toString(random.nextInt(LETTERS * LETTERS * LETTERS), LETTERS + 10))
        .collect(Collectors.joining(" "));
  }

  private static void run(String options, Object... others) {
    int exitCode = execute(Writer.nullWriter(), options, others);
    if (exitCode != 0) {
      throw new IllegalStateException(options + " ended with exit code " + exitCode);
    }
  }

  private static int execute(Writer out, String options, Object... others) {
    List<String> all = new ArrayList<>(List.of(options.split(" ")));
    Stream.of(others).map(Object::toString).forEach(all::add);
    return Main.commandLine().setOut(new PrintWriter(out)).execute(all.toArray(String[]::new));
  }

  private static void serve(String model) throws Exception {
    PipedReader said = new PipedReader();
    PipedWriter out = new PipedWriter(said);
    Thread server = Thread.ofPlatform().start(() -> execute(out, "serve --port 0 --json", model));
    URI url =
        URI.create(
            StrictJson.tree(new BufferedReader(said).readLine().getBytes(UTF_8))
                .path("url")
                .asString());
    ask(url.resolve("/v1/completions"), "{\"prompt\": \"word\", \"max_tokens\": 40}");
    new ProcessBuilder("kill", Long.toString(ProcessHandle.current().pid())).start();
    server.join();
  }

  private static void ask(URI url, String body) throws IOException {
    HttpURLConnection call = (HttpURLConnection) url.toURL().openConnection();
    call.setDoOutput(true);
    call.getOutputStream().write(body.getBytes(UTF_8));
    call.getInputStream().readAllBytes();
  }
}
