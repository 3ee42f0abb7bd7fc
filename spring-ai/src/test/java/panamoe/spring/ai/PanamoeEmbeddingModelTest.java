package panamoe.spring.ai;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.rag.Query;
import org.springframework.ai.vectorstore.SearchRequest;
import org.springframework.ai.vectorstore.SimpleVectorStore;
import panamoe.api.PanamoeException;
import panamoe.retrieval.RetrievalFolder;
import panamoe.text.EmbeddingModel;
import panamoe.text.RerankingModel;
import panamoe.text.RetrievalOptions;

/** Spring AI's vector store and retrieval over tiny models. */
class PanamoeEmbeddingModelTest {
  private static final RetrievalOptions OPTIONS =
      RetrievalOptions.USUAL.withDevice("cpu").withThreads(1);

  @TempDir private Path folder;

  @Test
  void textsAndDocumentsHaveTheirPrompts() throws IOException {
    RetrievalFolder.write(folder, "lasttoken", true);
    List<String> observed = new ArrayList<>();
    ObservationRegistry registry = ObservationRegistry.create();
    registry
        .observationConfig()
        .observationHandler(
            new ObservationHandler<Observation.Context>() {
              @Override
              public void onStop(Observation.Context context) {
                observed.add(context.getContextualName());
              }

              @Override
              public boolean supportsContext(Observation.Context context) {
                return true;
              }
            });
    try (EmbeddingModel open = EmbeddingModel.open(folder, OPTIONS)) {
      PanamoeEmbeddingModel plain = PanamoeEmbeddingModel.of(open);
      PanamoeEmbeddingModel model =
          PanamoeEmbeddingModel.builder()
              .model(open)
              .name("tiny")
              .texts(panamoe.text.EmbeddingOptions.USUAL.withPromptName("query"))
              .observations(registry, null)
              .build();
      assertEquals(48, model.dimensions());
      assertArrayEquals(open.embed("the hat"), plain.embed("the hat"));
      assertArrayEquals(open.embed("the hat"), model.embed(new Document("the hat")));
      assertFalse(Arrays.equals(open.embed("the hat"), model.embed("the hat")));
      EmbeddingOptions few = EmbeddingOptions.builder().dimensions(5).build();
      EmbeddingResponse response =
          plain.call(new EmbeddingRequest(List.of("the hat", "a cat"), few));
      assertEquals(5, response.getResults().get(1).getOutput().length);
      assertTrue(response.getMetadata().getUsage().getPromptTokens() > 2);
      assertEquals(List.of("embedding tiny", "embedding tiny"), observed);
      EmbeddingOptions other = EmbeddingOptions.builder().model("other").build();
      assertThrows(
          IllegalArgumentException.class,
          () -> model.call(new EmbeddingRequest(List.of("the hat"), other)));
      assertThrows(PanamoeException.BadArgument.class, () -> model.embed(""));

      SimpleVectorStore store = SimpleVectorStore.builder(plain).build();
      store.add(List.of(new Document("the hat"), new Document("a cat"), new Document("the vote")));
      assertEquals(
          "a cat",
          store
              .similaritySearch(SearchRequest.builder().query("a cat").topK(1).build())
              .getFirst()
              .getText());
    }
  }

  @Test
  void theBestDocumentsComeFirst() throws IOException {
    RetrievalFolder.write(folder);
    try (RerankingModel open = RerankingModel.open(folder, OPTIONS)) {
      List<Document> found =
          List.of(
              new Document("the hat", Map.of("page", 1)),
              new Document("a cat"),
              new Document("the vote"));
      List<Document> ordered = PanamoeReranker.of(open).process(new Query("the cat"), found);
      List<String> texts = found.stream().map(Document::getText).toList();
      List<Double> scores =
          open.rerank("the cat", texts).stream().map(each -> each.score()).sorted().toList();
      assertEquals(scores.reversed(), ordered.stream().map(Document::getScore).toList());
      PanamoeReranker best = PanamoeReranker.of(open, 1, RerankingModel.INSTRUCTION);
      assertEquals(ordered.subList(0, 1), best.process(new Query("the cat"), found));
      assertThrows(IllegalArgumentException.class, () -> PanamoeReranker.of(open, 0, "x"));
    }
  }
}
