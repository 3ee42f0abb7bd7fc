package panamoe.retrieval;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.engine.Readout;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;

/**
 * Scores documents by how well they answer a query. Thread-safe; the bits of a score depend on its
 * document and the query alone.
 */
public final class TextReranker implements AutoCloseable {
  /**
   * The score of a document.
   *
   * @param score 0 to 1, more is better
   * @param tokens of the question about this document
   */
  public record Scored(double score, int tokens) {}

  private final RerankForm form;
  private final Tokenizer tokenizer;
  private final int longest;
  private final PromptReader reader;

  /**
   * Takes over the backend and the model until it is closed; the caller then frees both.
   *
   * @param folder of the model, with the context that is the longest question
   */
  public TextReranker(ModelFolder folder, RerankForm form, Backend backend, LanguageModel model) {
    this.form = form;
    this.tokenizer = folder.tokenizer();
    this.longest = folder.config().context();
    this.reader = new PromptReader(backend, model, tokenizer, longest);
  }

  /**
   * The scores of documents, in order.
   *
   * @param instruction what the query asks for, such as {@link RerankForm#INSTRUCTION}
   * @throws IllegalArgumentException if the query or a document is empty, or longer than the
   *     context with the rest of the question, with its number
   * @throws panamoe.op.NotFinite like {@link PromptReader#read}, like the other exceptions
   */
  public List<Scored> score(String instruction, String query, List<String> documents) {
    Require.that(!query.isEmpty(), "the query is empty");
    List<int[]> prompts = new ArrayList<>();
    for (String document : documents) {
      int index = prompts.size();
      PromptReader.requireText(document, "document", index);
      int[] tokens = form.tokens(tokenizer, instruction, query, document);
      PromptReader.requireFits(tokens, longest, "document", index);
      prompts.add(tokens);
    }
    List<Scored> all = new ArrayList<>();
    reader.read(
        prompts,
        Readout.LOGITS,
        "document",
        read -> all.add(new Scored(form.score(read), prompts.get(all.size()).length)));
    return all;
  }

  @Override
  public void close() {
    reader.close();
  }
}
