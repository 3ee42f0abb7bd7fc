package panamoe.harness.serve.reading;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.Readout;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.model.ServedModel;
import panamoe.model.LanguageModel;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.retrieval.RerankForm;
import panamoe.retrieval.RetrievalFolder;
import panamoe.retrieval.TextEmbedder;
import panamoe.retrieval.TextReranker;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;

/** Embeddings and reranking. */
@Timeout(120)
class ReadingEndpointTest {
  private static final String EMBEDDINGS = "/v1/embeddings";
  private static final String RERANK = "/v1/rerank";
  private static final String DOCUMENTS = "['the hat','a cat',{'text':'on the mat'}]";

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  /** What the engine reads of a text without other sequences. */
  private static float[] alone(String text, Readout readout) {
    float[][] found = new float[1][];
    try (Engine engine = HashEngine.of(TestServer.ENGINE, TestServer.CONTEXT, () -> {})) {
      engine.submit(
          GenerationRequest.reading(HashEngine.TOKENIZER.encode(text), readout, Terms.USUAL),
          new GenerationListener() {
            @Override
            public void read(float[] values) {
              found[0] = values;
            }
          });
      while (engine.step()) {}
    }
    return found[0];
  }

  private static float[] vector(String text, int dimensions) {
    return TestServer.USES.embedding().vector(alone(text, Readout.MEAN), dimensions);
  }

  private static float[] floats(JsonNode embedding) {
    if (embedding.isString()) {
      FloatBuffer numbers =
          ByteBuffer.wrap(Base64.getDecoder().decode(embedding.stringValue()))
              .order(ByteOrder.LITTLE_ENDIAN)
              .asFloatBuffer();
      float[] vector = new float[numbers.remaining()];
      numbers.get(vector);
      return vector;
    }
    float[] vector = new float[embedding.size()];
    for (int i = 0; i < vector.length; i++) {
      vector[i] = embedding.get(i).floatValue();
    }
    return vector;
  }

  @Test
  void vectorsHaveTheBitsOfTheirTextAlone() throws Exception {
    JsonNode one = server.ask(EMBEDDINGS, "{'model':'hash','input':'the hat','user':'me'}");
    assertEquals("list", one.get("object").stringValue());
    assertEquals("hash", one.get("model").stringValue());
    assertEquals("embedding", one.at("/data/0/object").stringValue());
    assertArrayEquals(vector("the hat", 61), floats(one.at("/data/0/embedding")));
    assertEquals(7, one.at("/usage/prompt_tokens").intValue());
    assertEquals(7, one.at("/usage/total_tokens").intValue());
    String tokens = server.ask("/tokenize", "{'prompt':'the hat'}").get("tokens").toString();
    for (String input : List.of("['a','the hat']", tokens, "[" + tokens + ",[1]]")) {
      JsonNode data = server.ask(EMBEDDINGS, "{'input':" + input + ",'encoding_format':'base64'}");
      int index = input.startsWith("['a'") ? 1 : 0;
      JsonNode found = data.get("data").get(index);
      assertEquals(index, found.get("index").intValue());
      assertTrue(found.get("embedding").isString());
      assertArrayEquals(vector("the hat", 61), floats(found.get("embedding")), input);
    }
    JsonNode cut =
        server.ask(EMBEDDINGS, "{'input':'hat','prompt_name':'query','dimensions':5,'priority':1}");
    assertArrayEquals(vector("ask: hat", 5), floats(cut.at("/data/0/embedding")));
    double norm = 0;
    for (float value : floats(cut.at("/data/0/embedding"))) {
      norm += value * value;
    }
    assertEquals(1, norm, 1e-6);
  }

  @Test
  void documentsAreSortedByTheirScores() throws Exception {
    RerankForm form = TestServer.USES.rerank();
    List<String> texts = List.of("the hat", "a cat", "on the mat");
    List<Double> scores =
        texts.stream()
            .map(text -> form.score(alone("look\nwhere?\n" + text, Readout.LOGITS)))
            .toList();
    String body = "{'query':'where?','instruction':'look','documents':" + DOCUMENTS;
    JsonNode answer = server.ask(RERANK, body + "}");
    assertTrue(answer.get("id").stringValue().startsWith("rerank-"));
    assertEquals(3, answer.get("results").size());
    assertEquals(3 * "look\nwhere?\n".length() + 22, answer.at("/usage/total_tokens").intValue());
    double before = 1;
    for (JsonNode result : answer.get("results")) {
      double score = result.get("relevance_score").doubleValue();
      assertEquals(scores.get(result.get("index").intValue()), score);
      assertTrue(score <= before);
      assertFalse(result.has("document"));
      before = score;
    }
    JsonNode best = server.ask(RERANK, body + ",'top_n':1,'return_documents':true}");
    assertEquals(1, best.get("results").size());
    JsonNode first = best.at("/results/0");
    assertEquals(answer.at("/results/0/index"), first.get("index"));
    assertEquals(
        texts.get(first.get("index").intValue()), first.at("/document/text").stringValue());
  }

  /** Beside completions, and other clients' texts. */
  @Test
  void bitsDoNotDependOnOtherRequests() throws Exception {
    List<Future<?>> clients = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(6)) {
      for (int client = 0; client < 6; client++) {
        Random random = new Random(client);
        clients.add(
            threads.submit(
                () -> {
                  for (int round = 0; round < 3; round++) {
                    List<String> texts =
                        random
                            .ints(1 + random.nextInt(30), 1, 60)
                            .mapToObj(length -> "some text ".repeat(6).substring(0, length))
                            .toList();
                    String input = texts.stream().collect(Collectors.joining("','", "['", "']"));
                    JsonNode data = server.ask(EMBEDDINGS, "{'input':" + input + "}").get("data");
                    server.ask("/v1/completions", "{'prompt':'some text','max_tokens':9}");
                    int one = random.nextInt(texts.size());
                    assertArrayEquals(
                        vector(texts.get(one), 61), floats(data.get(one).get("embedding")));
                  }
                  return null;
                }));
      }
      for (Future<?> client : clients) {
        client.get();
      }
    }
    server.awaitIdle();
  }

  /** More texts than may wait: the engine has at most as many of a request as run. */
  @Test
  void aLongListWaitsOutsideTheEngine() throws Exception {
    AtomicReference<TestServer> asked = new AtomicReference<>();
    AtomicInteger most = new AtomicInteger();
    try (TestServer one =
        new TestServer(
            TestServer.limits(4, 2, Duration.ofSeconds(30), Duration.ofSeconds(15)),
            ApiKeys.NONE,
            () -> {
              if (asked.get() != null) {
                most.accumulateAndGet(
                    asked.get().engine.status().running() + asked.get().engine.status().waiting(),
                    Math::max);
              }
            })) {
      asked.set(one);
      String input =
          IntStream.range(0, 300)
              .mapToObj(i -> "x".repeat(80) + i)
              .collect(Collectors.joining("','", "['", "']"));
      JsonNode data = one.ask(EMBEDDINGS, "{'input':" + input + "}").get("data");
      assertEquals(300, data.size());
      assertArrayEquals(vector("x".repeat(80) + 299, 61), floats(data.get(299).get("embedding")));
      assertTrue(most.get() >= 1 && most.get() <= 4, most::toString);
    }
  }

  /** Also while one text after the other is read. */
  @Test
  void aClientThatLeavesEndsALongList() throws Exception {
    AtomicInteger steps = new AtomicInteger();
    Runnable slow =
        () -> {
          steps.incrementAndGet();
          TestServer.pause(20);
        };
    try (TestServer one = new TestServer(TestServer.LIMITS, ApiKeys.NONE, slow)) {
      String texts =
          IntStream.range(0, 1500)
              .mapToObj(i -> "x".repeat(80) + i)
              .collect(Collectors.joining("','", "['", "']"));
      try (Socket _ = one.raw(EMBEDDINGS, "{'input':" + texts + "}")) {
        TestServer.await(() -> steps.get() > 1);
      }
      TestServer.await(() -> one.waiting() == 0);
      assertTrue(steps.get() < 1000, steps::toString);
    }
  }

  @Test
  void faultsEndTheRequestAlone() throws Exception {
    HttpResponse<String> failed = server.post(EMBEDDINGS, "{'input':['good','a~']}");
    assertEquals(500, failed.statusCode(), failed::body);
    assertTrue(failed.body().contains("text 1 failed: the model gives numbers"), failed::body);
    server.awaitIdle();
    CountDownLatch hold = new CountDownLatch(1);
    try (TestServer slow = held(TestServer.LIMITS, hold)) {
      try (Socket left = slow.raw(EMBEDDINGS, "{'input':['a','b']}")) {
        TestServer.await(() -> slow.waiting() == 1);
        left.shutdownOutput();
        TestServer.await(() -> slow.waiting() == 0);
      }
      Future<HttpResponse<String>> late =
          asked(slow, RERANK, "{'query':'q','documents':['a'],'timeout_ms':1}");
      TestServer.pause(2);
      hold.countDown();
      assertEquals(504, late.get().statusCode(), late.get()::body);
      slow.awaitIdle();
      assertEquals(200, slow.post(EMBEDDINGS, "{'input':'a'}").statusCode());
      slow.engine.close();
      assertEquals(503, slow.post(EMBEDDINGS, "{'input':'a'}").statusCode());
    }
  }

  @Test
  void readingsWaitInTheQueueAndDrain() throws Exception {
    CountDownLatch hold = new CountDownLatch(1);
    Duration second = Duration.ofSeconds(1);
    try (TestServer full = held(TestServer.limits(1, 0, second, second), hold)) {
      Future<HttpResponse<String>> running = asked(full, EMBEDDINGS, "{'input':['a','b','c']}");
      HttpResponse<String> refused = full.post(EMBEDDINGS, "{'input':'a'}");
      assertEquals(429, refused.statusCode(), refused::body);
      assertEquals(429, full.post("/v1/completions", "{'prompt':'a'}").statusCode());
      full.stopAtOnce();
      assertEquals(503, running.get().statusCode(), running.get()::body);
      assertTrue(running.get().body().contains("draining"), running.get()::body);
      hold.countDown();
    }
  }

  /** A server whose engine computes no step before a latch opens. */
  private static TestServer held(Limits limits, CountDownLatch hold) throws IOException {
    return new TestServer(
        limits,
        ApiKeys.NONE,
        () -> {
          try {
            hold.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  /** The answer to a request that the server has admitted. */
  private static Future<HttpResponse<String>> asked(TestServer server, String path, String body)
      throws InterruptedException {
    CompletableFuture<HttpResponse<String>> answer = new CompletableFuture<>();
    Thread.startVirtualThread(
        () -> {
          try {
            answer.complete(server.post(path, body));
          } catch (IOException | InterruptedException | Error e) {
            answer.completeExceptionally(e);
          }
        });
    TestServer.await(() -> server.waiting() == 1);
    return answer;
  }

  @Test
  void aModelServesWhatItIsFor() throws Exception {
    Engine engine = HashEngine.of(TestServer.ENGINE, TestServer.CONTEXT, () -> {});
    try (TestServer writer =
        new TestServer(ServedModel.Uses.WRITES, HashEngine.TOKENIZER, TestServer.CONTEXT, engine)) {
      for (String path : List.of(EMBEDDINGS, RERANK)) {
        HttpResponse<String> refused = writer.post(path, "{'input':'a'}");
        assertEquals(400, refused.statusCode());
        assertTrue(refused.body().contains("the model "), refused::body);
      }
    }
    Engine other = HashEngine.of(TestServer.ENGINE, TestServer.CONTEXT, () -> {});
    ServedModel.Uses reads =
        new ServedModel.Uses(false, false, 61, TestServer.USES.embedding(), null, List.of());
    try (TestServer reader =
        new TestServer(reads, HashEngine.TOKENIZER, TestServer.CONTEXT, other)) {
      HttpResponse<String> refused =
          reader.post("/v1/chat/completions", "{'messages':[{'role':'user','content':'x'}]}");
      assertEquals(400, refused.statusCode());
      assertTrue(refused.body().contains("only reads texts: use /v1/embeddings"), refused::body);
      assertFalse(reader.ask(EMBEDDINGS, "{'input':'a'}").get("data").isEmpty());
    }
  }

  /** With a real model: the vectors and scores of {@code embed} and {@code rerank}. */
  @Test
  void vectorsAndScoresAreThoseOfTheCommands(@TempDir Path folder) throws Exception {
    ModelFolder found = ModelFolder.open(RetrievalFolder.write(folder, "lasttoken", true));
    ServedModel.Uses uses = ServedModel.Uses.of(found);
    Tokenizer tokenizer = found.tokenizer();
    int context = found.config().context();
    List<TextEmbedder.Embedded> vectors;
    List<TextReranker.Scored> scores;
    List<String> texts = List.of("the hat", "a cat", "on the mat");
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = found.load(backend, DType.FLOAT32)) {
      EmbeddingForm form = EmbeddingForm.of(found);
      try (TextEmbedder embedder = new TextEmbedder(found, form, backend, model);
          TextReranker reranker = new TextReranker(found, RerankForm.of(found), backend, model)) {
        vectors = embedder.embed(texts, form.prompt("query"), 20);
        scores = reranker.score(RerankForm.INSTRUCTION, "where?", texts);
      }
      EngineConfig config = new EngineConfig(100, 16, 4, 64, 0.25, true, 0);
      Engine engine = new Engine(backend, model, tokenizer, config);
      try (TestServer real = new TestServer(uses, tokenizer, context, engine)) {
        JsonNode asked =
            real.ask(
                EMBEDDINGS,
                "{'input':['the hat','a cat','on the mat'],'prompt_name':'query','dimensions':20}");
        JsonNode sorted = real.ask(RERANK, "{'query':'where?','documents':" + DOCUMENTS + "}");
        for (int i = 0; i < texts.size(); i++) {
          assertArrayEquals(
              vectors.get(i).vector(), floats(asked.get("data").get(i).get("embedding")));
          JsonNode result = sorted.get("results").get(i);
          assertEquals(
              scores.get(result.get("index").intValue()).score(),
              result.get("relevance_score").doubleValue());
        }
        assertEquals(
            vectors.stream().mapToInt(TextEmbedder.Embedded::tokens).sum(),
            asked.at("/usage/prompt_tokens").intValue());
      }
    }
  }
}
