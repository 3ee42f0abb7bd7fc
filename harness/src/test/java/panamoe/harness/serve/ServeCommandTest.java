package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
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
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.engine.routes.RouteFile;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.open.ModelFolder;
import panamoe.retrieval.RetrievalFolder;
import tools.jackson.databind.JsonNode;

/** serve on the command line, with a model of a few steps. */
@Timeout(300)
class ServeCommandTest {
  @TempDir private static Path folder;
  private static String run;

  @BeforeAll
  static void train() throws IOException {
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "The committee thanks the members for the vote.\n".repeat(400));
    run = folder.resolve("writer").toString();
    CommandRun trained =
        CommandRun.of(
            "train", "--preset", "tiny", "--steps", "30", "--text", text.toString(), "--out", run);
    assertEquals(0, trained.exitCode(), trained.err());
  }

  private static void refused(int exitCode, String why, String... arguments) {
    List<String> all = new ArrayList<>(List.of("serve", run, "--device", "reference"));
    all.addAll(List.of(arguments));
    CommandRun refused = CommandRun.of(all.toArray(String[]::new));
    assertEquals(exitCode, refused.exitCode(), refused.err());
    assertEquals("", refused.out());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertTrue(refused.err().contains(why), refused.err());
  }

  @Test
  void whatCannotBeServedIsOneSentence() throws IOException {
    CommandRun none = CommandRun.of("serve", folder.resolve("none").toString(), "--port", "0");
    assertEquals(1, none.exitCode());
    assertEquals(1, none.err().lines().count(), none.err());
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = Integer.toString(taken.getLocalPort());
      refused(1, "cannot listen at 127.0.0.1, port " + port, "--port", port);
    }
    refused(2, "--port is 70000, expected 0 to 65535", "--port", "70000");
    refused(2, "--host no.such.host.invalid", "--host", "no.such.host.invalid", "--port", "0");
    refused(2, "--sequences is 0, expected 1 or more", "--sequences", "0");
    refused(2, "has no room for one of each of 16 sequences", "--step-tokens", "8");
    refused(2, "--kv", "--kv", "int4");
    refused(1, "/config.json is no file of routes", "--log-routes", run + "/config.json");
    refused(2, "is for --device cuda, this run computes on reference", "--runtime-kernels");
    refused(2, "the reserve is 2.0", "--reserve", "2");
    refused(2, "--timeout is 1 s, expected 5", "--timeout", "1");
    refused(2, "--max-queued-requests is -1", "--max-queued-requests", "-1");
    refused(2, "--max-wait is below a millisecond", "--max-wait", "-1");
    refused(2, "--shutdown-timeout is -1, expected 0", "--shutdown-timeout", "-1");
    refused(2, "--slow-reader-timeout is 0", "--slow-reader-timeout", "0");
    Path empty = Files.writeString(folder.resolve("keys"), "# none\n");
    refused(1, "has no key", "--api-key-file", empty.toString());
    refused(1, "no such file", "--api-key-file", folder.resolve("no-keys").toString());
    Path twice = Files.writeString(folder.resolve("twice"), "key\nkey\n");
    refused(1, "line 2 has the key of line 1 again", "--api-key-file", twice.toString());
    refused(2, "--cors-origin is '*', expected an origin", "--cors-origin", "*");
    refused(2, "go together", "--tls-key", empty.toString());
    String[] tls = {"--tls-certificate", empty.toString(), "--tls-key", empty.toString()};
    refused(1, empty + " has no certificate in PEM", tls);
    String log = folder.resolve("none/access.jsonl").toString();
    refused(1, "--access-log " + log + " cannot be written", "--access-log", log);
    refused(1, "--log-requests " + empty + " is no folder", "--log-requests", empty.toString());
  }

  /** The warning comes before the port is bound. */
  @Test
  void whoMayReachTheServerIsSaid() throws IOException {
    Path keys = Files.writeString(folder.resolve("key-file"), "key\n");
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName("0.0.0.0"))) {
      String port = Integer.toString(taken.getLocalPort());
      String everywhere = "warning: --host 0.0.0.0 without --api-key-file";
      assertTrue(said("--host", "0.0.0.0", "--port", port).startsWith(everywhere));
      assertFalse(said("--port", port).contains("warning"));
      Files.setPosixFilePermissions(keys, PosixFilePermissions.fromString("rw-r--r--"));
      String[] locked = {"--host", "0.0.0.0", "--api-key-file", keys.toString(), "--port", port};
      assertTrue(said(locked).startsWith("warning: every user of this machine can read the keys"));
      Files.setPosixFilePermissions(keys, PosixFilePermissions.fromString("rw-r-----"));
      assertFalse(said(locked).contains("warning"));
    }
  }

  /** The error of a server whose port is taken. */
  private static String said(String... arguments) {
    String[] all =
        Stream.concat(Stream.of("serve", run), Stream.of(arguments)).toArray(String[]::new);
    CommandRun refused = CommandRun.of(all);
    assertEquals(1, refused.exitCode());
    return refused.err();
  }

  @Test
  void replicasWithoutARightLoadAreOneSentence() throws IOException {
    refused(2, "--replicas is -1, expected 0 or more", "--replicas", "-1");
    refused(2, "--replicas N and --expert-load FILE go together", "--replicas", "1");
    String load = folder.resolve("load.json").toString();
    String[] two = {"--replicas", "1", "--expert-load", load, "--ranks", "2"};
    refused(2, "there is no file " + load, two);
    Path file = Path.of(load);
    Files.writeString(file, "{");
    refused(2, "it ends too early", two);
    Files.writeString(file, "{}");
    refused(2, "expected \"layers\" with counts", two);
    Files.writeString(file, "{\"layers\":[{\"layer\":1,\"tokens\":[1,2]}]}");
    refused(2, "counts of 2 experts in layer 1, expected 8: it belongs to another model", two);
    Files.writeString(file, "{\"layers\":[{\"layer\":1,\"tokens\":[1,2,3,4,5,6,7,-8]}]}");
    refused(2, "layers[0].tokens[7]: expected a whole number", two);
    refused(2, "but every rank holds them all", "--replicas", "1", "--expert-load", load);
  }

  @ParameterizedTest
  @CsvSource({"1, dtype", "2, int8"})
  void servesDrainsAndEnds(String ranks, String keyValues) throws Exception {
    Path log = folder.resolve("log" + ranks);
    Path heat = folder.resolve("heat" + ranks);
    Path recorded = folder.resolve("routes" + ranks);
    Process process =
        new ProcessBuilder(
                SmallJvm.interruptible(
                    Main.class,
                    "serve",
                    run,
                    "--port",
                    "0",
                    "--json",
                    "--ranks",
                    ranks,
                    "--kv",
                    keyValues,
                    "--log-requests",
                    log.toString(),
                    "--log-routes",
                    recorded.toString(),
                    "--expert-cache",
                    heat.toString()))
            .start();
    String[] text = new String[1];
    try (BufferedReader out = process.inputReader();
        HttpClient client = HttpClient.newHttpClient()) {
      JsonNode told = TestServer.json(out.readLine());
      assertEquals("writer", told.get("model").stringValue());
      assertEquals(ranks, told.get("data_ranks").asString());
      URI completions = URI.create(told.get("url").stringValue() + "/v1/completions");
      String prompt = "The committee";
      HttpRequest request =
          post(completions, "{'prompt':'" + prompt + "','max_tokens':20,'temperature':0}");
      JsonNode answer = TestServer.json(client.send(request, BodyHandlers.ofString()).body());
      text[0] = prompt + answer.at("/choices/0/text").stringValue();
      CommandRun generated =
          CommandRun.of(
              "generate",
              "--model",
              run,
              "--prompt",
              prompt,
              "--max-tokens",
              "20",
              "--temperature",
              "0",
              "--kv",
              keyValues,
              "--json");
      assertEquals(
          TestServer.json(generated.out()).get("text").stringValue(),
          answer.at("/choices/0/text").stringValue());
      requireAsAlone(client, completions);
      requireReads(client, told.get("url").stringValue(), keyValues.equals("dtype"));
      JsonNode kept =
          TestServer.json(
              client
                  .send(
                      post(
                          completions,
                          "{'prompt':'A','max_tokens':60,'response_format':{'type':'json_schema',"
                              + "'json_schema':{'name':'vote','schema':{'type':'object',"
                              + "'properties':{'ayes':{'type':'integer','minimum':0,'maximum':99}},"
                              + "'required':['ayes'],'additionalProperties':false}}}}"),
                      BodyHandlers.ofString())
                  .body());
      JsonNode vote = TestServer.json(kept.at("/choices/0/text").stringValue());
      assertTrue(vote.get("ayes").isInt() && vote.size() == 1, vote::toString);
      HttpRequest running =
          post(completions, "{'prompt':'T','max_tokens':60,'ignore_eos':true,'stream':true}");
      try (InputStream stream = client.send(running, BodyHandlers.ofInputStream()).body()) {
        byte[] first = stream.readNBytes(40);
        new ProcessBuilder("kill", "-TERM", Long.toString(process.pid())).start().waitFor();
        String rest = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(new String(first, StandardCharsets.UTF_8).startsWith(":\n\ndata: "));
        assertTrue(rest.endsWith("data: [DONE]\n\n"), rest);
      }
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "still running after 60 s");
      String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.exitValue(), err);
      assertTrue(err.contains("stopping: "), err);
    } finally {
      process.destroyForcibly();
    }
    requireReplayed(log);
    ModelFolder model = ModelFolder.open(Path.of(run));
    try (RouteFile file = RouteFile.open(recorded, model.config())) {
      int[] tokens = model.tokenizer().encode(text[0]);
      assertTrue(file.sequences() > 10, file.sequences() + " sequences");
      int[] experts = file.of(tokens, new int[] {tokens.length}, null).experts(1);
      assertTrue(experts[tokens.length - 2] >= 0, "the last row is not recorded");
    }
    CommandRun told =
        CommandRun.of("inspect", run, "--heat", "--expert-cache", heat.toString(), "--json");
    assertEquals(0, told.exitCode(), told.err());
    long routes = 0;
    for (JsonNode count :
        TestServer.json(told.out().lines().findFirst().orElseThrow()).get("tokens")) {
      routes += count.asLong();
    }
    assertTrue(routes > 100, told.out());
  }

  /**
   * The server's vectors do not depend on other texts, and the log probabilities of a prompt are
   * those with which it was written.
   *
   * @param same whether the vectors are those of {@code embed}
   */
  private static void requireReads(HttpClient client, String url, boolean same) throws Exception {
    URI embeddings = URI.create(url + "/v1/embeddings");
    String[] texts = {"The committee", "A vote"};
    String both = "{'input':['" + String.join("','", texts) + "']}";
    JsonNode data = asked(client, embeddings, both).get("data");
    Path file = Files.write(folder.resolve("texts"), List.of(texts));
    List<String> lines =
        CommandRun.of("embed", run, "--input", file.toString()).out().lines().toList();
    for (int i = 0; i < texts.length; i++) {
      JsonNode vector = data.get(i).get("embedding");
      assertEquals(
          vector,
          asked(client, embeddings, "{'input':'" + texts[i] + "'}").at("/data/0/embedding"));
      assertEquals(
          same,
          TestServer.json(lines.get(i)).get("embedding").toString().equals(vector.toString()));
    }
    URI completions = URI.create(url + "/v1/completions");
    String fields = "'max_tokens':9,'temperature':0,'ignore_eos':true,'logprobs':1";
    JsonNode written =
        asked(
            client,
            completions,
            "{'prompt':'The committee','return_token_ids':true," + fields + "}");
    String tokens =
        (written.at("/choices/0/prompt_token_ids").toString() + written.at("/choices/0/token_ids"))
            .replace("][", ",");
    JsonNode scored =
        asked(client, completions, "{'prompt':" + tokens + ",'echo':true," + fields + "}");
    String logprobs = written.at("/choices/0/logprobs/token_logprobs").toString();
    assertTrue(
        scored
            .at("/choices/0/logprobs/token_logprobs")
            .toString()
            .contains(logprobs.substring(1, logprobs.length() - 1)),
        scored::toString);
  }

  private static JsonNode asked(HttpClient client, URI url, String body) throws Exception {
    HttpResponse<String> answer = client.send(post(url, body), BodyHandlers.ofString());
    assertEquals(200, answer.statusCode(), answer::body);
    return TestServer.json(answer.body());
  }

  /** A model without a head for the next token becomes ready too, and has vectors alone. */
  @Test
  void aModelThatOnlyReadsIsServed() throws Exception {
    Path reader = Files.createDirectory(folder.resolve("reader"));
    RetrievalFolder.write(reader, "lasttoken", true);
    Path config = reader.resolve("config.json");
    String tied = Files.readString(config);
    Files.writeString(config, tied.replace("word_embeddings\": true", "word_embeddings\": false"));
    String[] serve = {"serve", reader.toString(), "--port", "0", "--json"};
    Process process = new ProcessBuilder(SmallJvm.interruptible(Main.class, serve)).start();
    try (BufferedReader out = process.inputReader();
        HttpClient client = HttpClient.newHttpClient()) {
      String said = out.readLine();
      assertTrue(said != null, () -> process.errorReader().lines().toList().toString());
      String url = TestServer.json(said).get("url").stringValue();
      URI embeddings = URI.create(url + "/v1/embeddings");
      JsonNode made = asked(client, embeddings, "{'input':'the hat'}");
      assertEquals(48, made.at("/data/0/embedding").size());
      HttpRequest text = post(URI.create(url + "/v1/completions"), "{'prompt':'the hat'}");
      HttpResponse<String> refused = client.send(text, BodyHandlers.ofString());
      assertEquals(400, refused.statusCode());
      assertTrue(refused.body().contains("no head for the next token"), refused::body);
    } finally {
      process.destroyForcibly();
    }
  }

  /** Every completion of the server on one rank: equal bits, also of a constrained one. */
  private static void requireReplayed(Path log) throws IOException {
    List<Path> files;
    try (Stream<Path> entries = Files.list(log)) {
      files = entries.toList();
    }
    assertEquals(17, files.size());
    List<String> replay = new ArrayList<>(List.of("replay"));
    files.forEach(file -> replay.add(file.toString()));
    CommandRun same = CommandRun.of(replay.toArray(String[]::new));
    assertEquals(0, same.exitCode(), same.err());
    assertEquals("", same.err());
    assertEquals(17, same.out().lines().filter(line -> line.contains(": identical: ")).count());

    LoggedCompletion text = LoggedCompletion.read(files.getFirst());
    Path changed = folder.resolve("changed.json");
    Files.writeString(
        changed,
        Files.readString(files.getFirst())
            .replace(text.origin().fingerprint(), "fp_0")
            .replace(text.answer().logprobs()[1], "bff0000000000000"));
    CommandRun differs = CommandRun.of("replay", changed.toString(), "--model", run, "--json");
    assertEquals(1, differs.exitCode(), differs.err());
    assertTrue(differs.err().contains("the fingerprint was fp_0 and is fp_"), differs.err());
    JsonNode told = TestServer.json(differs.out());
    assertFalse(told.get("identical").booleanValue());
    assertTrue(
        told.get("difference")
            .stringValue()
            .startsWith("the logprob of token 1 was -1.0 (bff0000000000000) and is "),
        differs.out());

    CommandRun none = CommandRun.of("replay", run + "/config.json");
    assertEquals(1, none.exitCode());
    assertEquals(1, none.err().lines().count(), none.err());
  }

  @Test
  void chatWritesWhatFollowsItsLines() throws IOException {
    InputStream before = System.in;
    CommandRun chat;
    try {
      System.setIn(new ByteArrayInputStream("The vote\n".getBytes(StandardCharsets.UTF_8)));
      chat = CommandRun.of("chat", run, "--max-tokens", "20", "--seed", "3");
    } finally {
      System.setIn(before);
    }
    assertEquals(0, chat.exitCode(), chat.err());
    CommandRun generated =
        CommandRun.of(
            "generate",
            "--model",
            run,
            "--prompt",
            "user: The vote\nassistant:",
            "--stop",
            "\nuser:",
            "--max-tokens",
            "20",
            "--seed",
            "3",
            "--json");
    assertEquals(
        TestServer.json(generated.out()).get("text").stringValue().stripLeading() + "\n",
        chat.out());
    assertEquals("", chat.err());
  }

  @Test
  void chatWritesWhatFollowsItsTemplate() throws IOException {
    Path template = folder.resolve("own.jinja");
    Files.writeString(template, "{{ messages[0].content }} of the{# no role #}");
    InputStream before = System.in;
    CommandRun chat;
    try {
      System.setIn(new ByteArrayInputStream("The vote\n".getBytes(StandardCharsets.UTF_8)));
      chat =
          CommandRun.of(
              "chat", run, "--max-tokens", "9", "--chat-template", template.toString(), "--seed=3");
    } finally {
      System.setIn(before);
    }
    assertEquals(0, chat.exitCode(), chat.err());
    CommandRun generated =
        CommandRun.of(
            "generate",
            "--model",
            run,
            "--prompt",
            "The vote of the",
            "--max-tokens",
            "9",
            "--seed=3",
            "--json");
    assertEquals(
        TestServer.json(generated.out()).get("text").stringValue().stripLeading() + "\n",
        chat.out());
    Files.writeString(template, "{% if %}");
    for (String command : new String[] {"chat", "serve"}) {
      CommandRun broken = CommandRun.of(command, run, "--chat-template", template.toString());
      assertEquals(1, broken.exitCode());
      assertEquals(
          "panamoe "
              + command
              + ": "
              + template
              + ", line 1: there is the end of the tag, expected an expression\n",
          broken.err());
    }
  }

  /** Completions of a real model: one after the other, then all together. */
  private static void requireAsAlone(HttpClient client, URI completions) throws Exception {
    List<HttpRequest> requests = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      requests.add(
          post(
              completions,
              "{'prompt':'The committee thanks the "
                  + "members".substring(0, i)
                  + "','seed':"
                  + i
                  + ",'max_tokens':16,'logprobs':3}"));
    }
    List<JsonNode> alone = new ArrayList<>();
    for (HttpRequest request : requests) {
      alone.add(choices(client.send(request, BodyHandlers.ofString())));
    }
    List<CompletableFuture<HttpResponse<String>>> together =
        requests.stream()
            .map(request -> client.sendAsync(request, BodyHandlers.ofString()))
            .toList();
    for (int i = 0; i < requests.size(); i++) {
      assertEquals(alone.get(i), choices(together.get(i).get()));
    }
  }

  private static JsonNode choices(HttpResponse<String> answer) throws IOException {
    assertEquals(200, answer.statusCode(), answer::body);
    return TestServer.json(answer.body()).get("choices");
  }

  private static HttpRequest post(URI uri, String body) {
    return HttpRequest.newBuilder(uri)
        .POST(BodyPublishers.ofString(TestServer.quoted(body)))
        .build();
  }
}
