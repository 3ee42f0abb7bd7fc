package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException.BadArgument;
import panamoe.api.PanamoeException.BadModel;
import panamoe.retrieval.RetrievalFolder;

/** Embedding and reranking through the facade. */
class RetrievalTest {
  private static final RetrievalOptions OPTIONS =
      RetrievalOptions.USUAL.withDevice("cpu").withThreads(2);

  @TempDir private Path folder;

  @Test
  void examplesRun() throws IOException {
    RetrievalFolder.write(folder, "lasttoken", true);
    double alike = RetrievalExample.embed(folder);
    assertTrue(alike > -1.0001 && alike < 1.0001);
    assertEquals(2, RetrievalExample.rerank(folder).size());
    assertEquals(2, RetrievalExample.score(folder).length);
  }

  @Test
  void manyThreadsGetWhatEachTextGivesAlone() throws Exception {
    RetrievalFolder.write(folder, "lasttoken", true);
    List<String> texts = IntStream.range(0, 64).mapToObj(i -> "the hat " + i).toList();
    try (EmbeddingModel model = EmbeddingModel.open(folder, OPTIONS);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<float[]> alone = texts.stream().map(model::embed).toList();
      List<Future<List<Embedding>>> found = new ArrayList<>();
      for (int thread = 0; thread < 8; thread++) {
        found.add(threads.submit(() -> model.embed(texts)));
      }
      for (Future<List<Embedding>> each : found) {
        for (int i = 0; i < texts.size(); i++) {
          assertArrayEquals(alone.get(i), each.get().get(i).vector());
        }
      }
      assertEquals(48, model.dimensions());
      assertEquals(512, model.longest());
      assertEquals(Map.of("query", RetrievalFolder.QUERY, "document", ""), model.prompts());
      assertEquals(List.of(), model.warnings());
    }
  }

  @Test
  void optionsChooseThePromptAndTheDimensions() throws IOException {
    RetrievalFolder.write(folder, "lasttoken", true);
    try (EmbeddingModel model = EmbeddingModel.open(folder, OPTIONS.withLongest(99))) {
      assertEquals(99, model.longest());
      EmbeddingOptions usual = EmbeddingOptions.USUAL;
      List<String> texts = List.of("the hat");
      Embedding query = model.embed(texts, usual.withPromptName("query")).getFirst();
      float[] same = model.embed(texts, usual.withInstruction("Find the hat.")).get(0).vector();
      assertArrayEquals(query.vector(), same);
      assertFalse(Arrays.equals(same, model.embed("the hat")));
      assertEquals(query.tokens(), model.countTokens(RetrievalFolder.QUERY + "the hat"));
      float[] few = model.embed(texts, usual.withDimensions(5)).getFirst().vector();
      assertEquals(5, few.length);
      assertEquals(1, IntStream.range(0, 5).mapToDouble(i -> few[i] * few[i]).sum(), 1e-6);
      EmbeddingOptions unknown = usual.withPromptName("title");
      assertThrows(BadArgument.class, () -> model.embed(texts, unknown));
      assertThrows(BadArgument.class, () -> model.embed((List<String>) null));
      assertThrows(BadArgument.class, () -> model.embed((String) null));
      assertThrows(BadArgument.class, () -> model.embed(texts, usual.withDimensions(49)));
      assertThrows(BadArgument.class, () -> usual.withDimensions(-1));
    }
  }

  /** Each token of a choice costs what the model's logits say after those before it. */
  @Test
  void likelihoodsAreThoseOfTheLogits() throws IOException {
    RetrievalFolder.write(folder);
    List<String> choices = List.of(" the mat", " a hat on the mat");
    try (Device device = Device.open("cpu", 2);
        MoeModel reader = MoeModel.open(device, folder);
        ScoringModel model = ScoringModel.open(folder, OPTIONS)) {
      double[] nats = model.logLikelihoods("The cat sat on", choices);
      for (int i = 0; i < choices.size(); i++) {
        int[] tokens = reader.encode("The cat sat on" + choices.get(i));
        double expected = 0;
        for (int at = reader.encode("The cat sat on").length; at < tokens.length; at++) {
          float[] logits = reader.nextLogits(Arrays.copyOf(tokens, at));
          double sum = 0;
          for (float logit : logits) {
            sum += Math.exp(logit);
          }
          expected += logits[tokens[at]] - Math.log(sum);
        }
        assertEquals(expected, nats[i], 1e-3);
        assertEquals(nats[i], model.logLikelihoods("The cat sat on", choices.subList(i, i + 1))[0]);
      }
      assertEquals(2, model.logLikelihoods("", choices).length);
      assertEquals(List.of(), model.warnings());
      assertEquals(512, model.longest());
      Exception empty =
          assertThrows(BadArgument.class, () -> model.logLikelihoods("a", List.of("b", "")));
      assertEquals("text 1 (counted from 0) is empty", empty.getMessage());
      String endless = "the hat ".repeat(600);
      assertThrows(BadArgument.class, () -> model.logLikelihoods("a", List.of(endless)));
      assertThrows(BadArgument.class, () -> model.logLikelihoods(null, choices));
      assertTrue(Double.isFinite(model.logLikelihoods(endless, choices)[0]));
    }
  }

  @Test
  void scoresAreThoseOfEachDocumentAlone() throws IOException {
    RetrievalFolder.write(folder);
    RerankingModel closed;
    try (RerankingModel model = RerankingModel.open(folder, OPTIONS)) {
      closed = model;
      List<String> documents = List.of("the mat", "the cat", "here");
      List<Relevance> found = model.rerank("the hat?", documents);
      for (int i = 0; i < documents.size(); i++) {
        Relevance alone = model.rerank("the hat?", List.of(documents.get(i))).getFirst();
        assertEquals(alone, found.get(i));
        assertTrue(alone.score() > 0 && alone.score() < 1);
      }
      assertThrows(BadArgument.class, () -> model.rerank("", documents));
      assertThrows(BadArgument.class, () -> model.rerank(null, documents));
      assertEquals(List.of(), model.rerank("the hat?", List.of()));
    }
    assertThrows(IllegalStateException.class, () -> closed.rerank("a", List.of("b")));
    closed.close();
  }

  /** A model without a vocabulary, and one with an encoder. */
  @Test
  void otherModelsAreRefused() {
    Path models = Path.of("..", "lab", "golden", "hf");
    assertThrows(BadModel.class, () -> EmbeddingModel.open(models.resolve("qwen3_c"), OPTIONS));
    assertThrows(BadModel.class, () -> RerankingModel.open(models.resolve("qwen3_c"), OPTIONS));
    assertThrows(BadArgument.class, () -> EmbeddingModel.open(null));
    assertThrows(BadArgument.class, () -> OPTIONS.withLongest(0));
  }
}
