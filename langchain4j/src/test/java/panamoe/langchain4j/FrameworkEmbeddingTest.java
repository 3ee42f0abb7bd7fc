package panamoe.langchain4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.common.AbstractEmbeddingModelIT;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.retrieval.RetrievalFolder;
import panamoe.text.RerankingModel;
import panamoe.text.RetrievalOptions;

/** LangChain4j's own tests of an embedding model, and a scoring model. */
class FrameworkEmbeddingTest extends AbstractEmbeddingModelIT {
  private static final RetrievalOptions OPTIONS =
      RetrievalOptions.USUAL.withDevice("cpu").withThreads(1);

  @TempDir private static Path folder;
  private static panamoe.text.EmbeddingModel model;

  @BeforeAll
  static void open() throws IOException {
    RetrievalFolder.write(folder, "lasttoken", true);
    model = panamoe.text.EmbeddingModel.open(folder, OPTIONS);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Override
  protected List<EmbeddingModel> models() {
    return List.of(PanamoeEmbeddingModel.of(model));
  }

  @Override
  protected EmbeddingModel modelWith(EmbeddingModelListener listener) {
    return PanamoeEmbeddingModel.of(model, "tiny", List.of(listener));
  }

  @Override
  protected EmbeddingModel failingModelWith(EmbeddingModelListener listener) {
    panamoe.text.EmbeddingModel closed = panamoe.text.EmbeddingModel.open(folder, OPTIONS);
    closed.close();
    return PanamoeEmbeddingModel.of(closed, "tiny", List.of(listener));
  }

  @Override
  protected boolean supportsInputTypeParameter() {
    return true;
  }

  @Override
  protected boolean supportsDimensionsParameter() {
    return true;
  }

  @Override
  protected boolean supportsImageInput() {
    return false;
  }

  @Override
  protected boolean supportsInterleavedInput() {
    return false;
  }

  @Override
  protected int dimensionsParameter() {
    return 16;
  }

  @Test
  void scoresAreTheModelsInTheirOrder() {
    try (RerankingModel reranking = RerankingModel.open(folder, OPTIONS)) {
      PanamoeScoringModel scoring = PanamoeScoringModel.of(reranking);
      List<TextSegment> texts = List.of(TextSegment.from("the hat"), TextSegment.from("the mat"));
      List<Double> scores = scoring.scoreAll(texts, "the cat").content();
      assertEquals(
          reranking.rerank("the cat", List.of("the hat", "the mat")).get(1).score(), scores.get(1));
      assertTrue(scoring.score("the hat", "the cat").tokenUsage().inputTokenCount() > 4);
      assertThrows(InvalidRequestException.class, () -> scoring.score("the hat", ""));
    }
  }
}
