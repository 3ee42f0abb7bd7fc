package panamoe.text;

import java.nio.file.Path;
import java.util.List;

/** The examples of the documentation of {@link EmbeddingModel}; a test runs them. */
final class RetrievalExample {
  private RetrievalExample() {}

  static double embed(Path folder) {
    // @start region="embed"
    try (EmbeddingModel model = EmbeddingModel.open(folder)) {
      EmbeddingOptions queries = EmbeddingOptions.USUAL.withPromptName("query");
      float[] query = model.embed(List.of("Where is the hat?"), queries).getFirst().vector();
      float[] document = model.embed("The hat is on the mat.");
      double alike = 0;
      for (int i = 0; i < query.length; i++) {
        alike += query[i] * document[i];
      }
      return alike;
    }
    // @end
  }

  static List<Relevance> rerank(Path folder) {
    // @start region="rerank"
    try (RerankingModel model = RerankingModel.open(folder)) {
      return model.rerank(
          "Where is the hat?", List.of("The hat is on the mat.", "The cat sat on the mat."));
    }
    // @end
  }

  static double[] score(Path folder) {
    // @start region="score"
    try (ScoringModel model = ScoringModel.open(folder)) {
      return model.logLikelihoods("The cat sat on", List.of(" the mat.", " a cloud."));
    }
    // @end
  }
}
