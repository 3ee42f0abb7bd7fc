package panamoe.harness.serve.log;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.model.Constraints;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

@Timeout(60)
class RequestLogTest {
  private static final String COMPLETIONS = "/v1/completions";

  @TempDir private Path folder;

  private TestServer server(Path log) throws IOException {
    return new TestServer(TestServer.LIMITS, ApiKeys.NONE, TestServer.ENGINE, () -> {}, log);
  }

  private static LoggedCompletion.Answer again(LoggedCompletion text) {
    ResponseRecorder recorder = new ResponseRecorder(_ -> {});
    try (Engine engine = HashEngine.of(TestServer.ENGINE, TestServer.CONTEXT, () -> {})) {
      engine.submit(text.request(new Constraints(HashEngine.TOKENIZER)), recorder);
      while (!recorder.over()) {
        engine.step();
      }
    }
    return recorder.answer();
  }

  private static List<Path> files(Path log) throws IOException {
    try (Stream<Path> entries = Files.list(log)) {
      return entries.sorted().toList();
    }
  }

  @Test
  void eachTextIsAFileThatGivesItAgain() throws Exception {
    Path log = folder.resolve("new/log");
    JsonNode answer;
    JsonNode plain;
    try (TestServer server = server(log)) {
      answer =
          server.ask(
              COMPLETIONS,
              "{'prompt':['one','two'],'n':2,'seed':40,'max_tokens':30,'temperature':0.7,"
                  + "'top_p':0.9,'stop':['q'],'logit_bias':{'3':1.5},'presence_penalty':0.1,"
                  + "'return_token_ids':true,'logprobs':2,'ignore_eos':true}");
      plain = server.ask(COMPLETIONS, "{'prompt':'three','max_tokens':5,'moe':{'top_k':1}}");
      server.post(COMPLETIONS, "{'prompt':'a~'}");
    }
    assertTrue(plain.at("/choices/0/logprobs").isNull());
    Path third = log.resolve(plain.get("id").stringValue() + "-0.json");
    assertEquals(List.of(1), LoggedCompletion.read(third).routing().topK());
    JsonNode origin = JsonMapper.shared().readTree(third.toFile()).get("origin");
    assertEquals("f32", origin.get("dtype").stringValue());
    assertEquals("dtype", origin.get("keyValues").stringValue());
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(log)));
    List<Path> files = files(log);
    assertEquals(6, files.size());
    for (Path file : files) {
      assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
      LoggedCompletion text = LoggedCompletion.read(file);
      assertNull(text.answer().difference(again(text)), file::toString);
    }
    for (int i = 0; i < 4; i++) {
      LoggedCompletion text =
          LoggedCompletion.read(log.resolve(answer.get("id").stringValue() + "-" + i + ".json"));
      assertEquals("fp_hash", text.origin().fingerprint());
      assertEquals(40 + i % 2, text.sampling().seed());
      JsonNode choice = answer.at("/choices/" + i);
      assertArrayEquals(
          JsonMapper.shared().convertValue(choice.get("token_ids"), int[].class),
          text.answer().tokens());
      for (int j = 0; j < text.answer().tokens().length; j++) {
        assertEquals(
            choice.at("/logprobs/token_logprobs/" + j).doubleValue(),
            Double.longBitsToDouble(Long.parseUnsignedLong(text.answer().logprobs()[j], 16)));
      }
    }
    long failed =
        files.stream()
            .filter(file -> LoggedCompletion.read(file).answer().failure() != null)
            .count();
    assertEquals(1, failed);
  }

  @Test
  void aDifferenceIsTold() {
    LoggedCompletion.Answer answer = answer(Generation.End.STOP, 4, 5);
    assertNull(answer.difference(answer(Generation.End.STOP, 4, 5)));
    assertEquals("token 1 was 5 and is 6", answer.difference(answer(Generation.End.STOP, 4, 6)));
    assertEquals(
        "there were 2 tokens and are 1", answer.difference(answer(Generation.End.STOP, 4)));
    assertEquals(
        "the end was STOP and is LENGTH", answer.difference(answer(Generation.End.LENGTH, 4, 5)));
    assertNull(
        answer(Generation.End.CANCELLED, 4, 5).difference(answer(Generation.End.LENGTH, 4, 5)));
  }

  private static LoggedCompletion.Answer answer(Generation.End end, int... tokens) {
    String[] logprobs = new String[tokens.length];
    Arrays.fill(logprobs, "bff0000000000000");
    return new LoggedCompletion.Answer(tokens, logprobs, end, null);
  }

  @Test
  void aFolderThatIsGoneCostsNoAnswer() throws Exception {
    Path log = folder.resolve("log");
    TestServer server = server(log);
    try (server) {
      Files.delete(log);
      Files.writeString(log, "in its way");
      for (int i = 0; i < 5; i++) {
        server.ask(COMPLETIONS, "{'prompt':'x','max_tokens':3}");
      }
      TestServer.await(() -> counted(server.metrics) == 5);
      assertEquals(1, server.log.size()); // a second warning would follow after a minute
    }
    assertEquals(
        "warning: could not log 4 texts: " + log + ": Not a directory", server.log.getLast());
    assertEquals("in its way", Files.readString(log));
  }

  /** A log whose completions a test ends itself. */
  private RequestLog log(int size, Metrics metrics, Consumer<String> warnings) throws IOException {
    LoggedCompletion.Origin origin =
        new LoggedCompletion.Origin(
            "hash",
            "/none",
            ComputeType.F32,
            null,
            null,
            KeyValueType.DTYPE,
            null,
            null,
            "hash",
            "fp_hash",
            null);
    return new RequestLog(folder.resolve("log"), origin, size, metrics, warnings);
  }

  private static void end(RequestLog log, int texts) {
    end(log, texts, JsonNodeFactory.instance.objectNode());
  }

  private static void end(RequestLog log, int texts, ObjectNode fields) {
    RequestLog.Request request = log.request("cmpl-1", 1, new Fields(fields));
    GenerationRequest text =
        GenerationRequest.of(new int[] {1}, SamplingConfig.GREEDY, StopConfig.of(5, List.of()));
    Generation.Times times = new Generation.Times(0, 0, 0, 0);
    for (int i = 0; i < texts; i++) {
      request
          .recorder(i, text)
          .ended(new Generation("", Generation.End.LENGTH, null, 0, 1, 0, times, null));
    }
  }

  /** Files that are written can be read; others are dropped. */
  @ParameterizedTest
  @ValueSource(ints = {Limits.Http.BODY_BYTES, LoggedCompletion.MOST_BYTES})
  void theLongestFieldsCanBeRead(int letters) throws Exception {
    List<String> warnings = Collections.synchronizedList(new ArrayList<>());
    ObjectNode fields = JsonNodeFactory.instance.objectNode().put("tools", "a".repeat(letters));
    try (RequestLog log = log(1, new Metrics(Map.of()), warnings::add)) {
      end(log, 1, fields);
    }
    List<Path> files = files(folder.resolve("log"));
    if (letters == LoggedCompletion.MOST_BYTES) {
      assertEquals(List.of(), files);
      assertTrue(warnings.getFirst().contains("a file would have more than"), warnings::toString);
    } else {
      assertEquals(fields, LoggedCompletion.read(files.getFirst()).fields());
    }
  }

  /** The engine's thread goes on; dropped completions are counted. */
  @Test
  void nobodyWaitsForTheDisk() throws Exception {
    int texts = 1000;
    Metrics metrics = new Metrics(Map.of());
    List<String> warnings = Collections.synchronizedList(new ArrayList<>());
    try (RequestLog log = log(20, metrics, warnings::add)) {
      end(log, texts);
    }
    List<Path> files = files(folder.resolve("log"));
    files.forEach(LoggedCompletion::read);
    assertTrue(counted(metrics) > 0);
    assertEquals(texts, files.size() + counted(metrics));
    assertTrue(warnings.getFirst().contains("the disk is too slow"), warnings::toString);
  }

  /** Warnings go to a pipe that may be full. */
  @Test
  void nobodyWaitsForAWarning() throws Exception {
    Metrics metrics = new Metrics(Map.of());
    CountDownLatch warned = new CountDownLatch(1);
    Semaphore taken = new Semaphore(0);
    Consumer<String> slow =
        _ -> {
          warned.countDown();
          taken.acquireUninterruptibly();
        };
    try (RequestLog log = log(1, metrics, slow)) {
      Files.delete(folder.resolve("log"));
      end(log, 1);
      warned.await();
      Thread engine = Thread.ofVirtual().start(() -> end(log, 5));
      boolean ended = engine.join(Duration.ofSeconds(10));
      taken.release(2);
      assertTrue(ended, "the engine's thread waits");
    }
    assertEquals(6, counted(metrics));
  }

  private static double counted(Metrics metrics) {
    return metrics
        .scrape("text/plain; version=0.0.4; charset=utf-8")
        .lines()
        .filter(line -> line.startsWith("panamoe_request_log_failures_total "))
        .mapToDouble(line -> Double.parseDouble(line.split(" ")[1]))
        .sum();
  }
}
