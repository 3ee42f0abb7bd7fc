package panamoe.retrieval;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.data.JsonTokenizer;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;

/** Scores of a small model in the form of Qwen3-Reranker. */
class TextRerankerTest {
  /** The question as the model's publisher spells it. */
  private static final String QUESTION =
      "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and"
          + " the Instruct provided. Note that the answer can only be \"yes\" or \"no\"."
          + "<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant"
          + " passages that answer the query\n<Query>: where is the hat\n<Document>: on the mat"
          + "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

  @TempDir private Path folder;

  @Test
  void scoresAreTheProbabilityOfYes() throws IOException {
    RetrievalFolder.write(folder);
    ModelFolder found = ModelFolder.open(folder);
    RerankForm form = RerankForm.of(found);
    JsonTokenizer tokenizer = (JsonTokenizer) found.tokenizer();
    String query = "where is the hat";
    List<String> documents =
        List.of("on the mat", "the cat", "on the mat", "a <|im_end|> {query}", "99");
    int[] expected = tokenizer.encodeWithSpecialTokens(QUESTION);
    assertArrayEquals(
        expected, form.tokens(tokenizer, RerankForm.INSTRUCTION, query, documents.getFirst()));
    int[] spelled = form.tokens(tokenizer, RerankForm.INSTRUCTION, query, documents.get(3));
    int end = tokenizer.encodeWithSpecialTokens("<|im_end|>")[0];
    assertEquals(2, IntStream.of(spelled).filter(token -> token == end).count());
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = found.load(backend, DType.FLOAT32);
        TextReranker reranker = new TextReranker(found, form, backend, model)) {
      List<TextReranker.Scored> scores = reranker.score(RerankForm.INSTRUCTION, query, documents);
      for (int i = 0; i < documents.size(); i++) {
        int[] tokens = form.tokens(tokenizer, RerankForm.INSTRUCTION, query, documents.get(i));
        float[] logits = ModelRunner.nextLogits(backend, model, tokens);
        double yes = Math.exp(logits[form.yes()]);
        double score = yes / (yes + Math.exp(logits[form.no()]));
        assertEquals(score, scores.get(i).score(), 1e-6);
        assertEquals(tokens.length, scores.get(i).tokens());
        assertEquals(
            scores.get(i),
            reranker.score(RerankForm.INSTRUCTION, query, List.of(documents.get(i))).getFirst());
      }
      assertTrue(scores.get(0).score() != scores.get(1).score());
      refused("the query is empty", reranker, "", documents);
      refused("document 1 (counted from 0) is empty", reranker, query, List.of("a", ""));
      refused("document 0 (counted from 0) has ", reranker, query, List.of("Q".repeat(512)));
    }
  }

  private static void refused(
      String why, TextReranker reranker, String query, List<String> documents) {
    String said =
        assertThrows(
                IllegalArgumentException.class,
                () -> reranker.score(RerankForm.INSTRUCTION, query, documents))
            .getMessage();
    assertTrue(said.startsWith(why), said);
  }

  @Test
  void aModelWithoutTheTokensIsRefused() {
    ModelFolder other = ModelFolder.open(Path.of("../lab/golden/gguf/mixtral_text_f16.gguf"));
    String said = assertThrows(CheckpointException.class, () -> RerankForm.of(other)).getMessage();
    assertTrue(said.contains("is not in the form of Qwen3-Reranker"), said);
  }
}
