package panamoe.retrieval;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;

/** Computes the vectors of texts. Thread-safe; the bits of a vector depend on its text alone. */
public final class TextEmbedder implements AutoCloseable {
  /**
   * The vector of a text.
   *
   * @param tokens of the text, with those around it and of its prompt
   */
  public record Embedded(float[] vector, int tokens) {}

  private final EmbeddingForm form;
  private final Tokenizer tokenizer;
  private final int longest;
  private final int hidden;
  private final PromptReader reader;

  /**
   * Takes over the backend and the model until it is closed; the caller then frees both.
   *
   * @param folder of the model, with the context that is the longest text
   * @throws IllegalArgumentException if the model has an encoder, which reads no prompts
   */
  public TextEmbedder(
      ModelFolder folder, EmbeddingForm form, Backend backend, LanguageModel model) {
    Require.that(
        folder.config().encoder() == null,
        "%s has an encoder and a decoder, and texts are embedded by decoders alone",
        folder.path());
    this.form = form;
    this.tokenizer = folder.tokenizer();
    this.longest = folder.config().context();
    this.hidden = folder.config().hidden();
    this.reader = new PromptReader(backend, model, tokenizer, longest);
  }

  public EmbeddingForm form() {
    return form;
  }

  /** Numbers of a whole vector, M. */
  public int dimensions() {
    return hidden;
  }

  /** The tokens of a text with those around it. */
  public int[] tokens(String prompt, String text) {
    return EmbeddingForm.tokens(tokenizer, prompt, text);
  }

  /** The vectors of texts, in order; see below. */
  public List<Embedded> embed(List<String> texts, String prompt, int dimensions) {
    List<Embedded> all = new ArrayList<>();
    embed(texts, prompt, dimensions, all::add);
    return all;
  }

  /**
   * Computes the vectors of texts.
   *
   * @param prompt before each text
   * @param dimensions 1 to {@link #dimensions}: the first numbers, normalised again if the model's
   *     vectors are
   * @param sink receives the vectors, in order
   * @throws IllegalArgumentException if a text is empty or longer than the context, with its number
   * @throws panamoe.op.NotFinite like {@link PromptReader#read}, like the other exceptions
   */
  public void embed(List<String> texts, String prompt, int dimensions, Consumer<Embedded> sink) {
    EmbeddingForm.requireDimensions(dimensions, hidden);
    List<int[]> prompts = new ArrayList<>();
    for (String text : texts) {
      int index = prompts.size();
      PromptReader.requireText(text, "text", index);
      int[] tokens = tokens(prompt, text);
      PromptReader.requireFits(tokens, longest, "text", index);
      prompts.add(tokens);
    }
    Iterator<int[]> next = prompts.iterator();
    reader.read(
        prompts,
        form.pooling(),
        "text",
        read -> sink.accept(new Embedded(form.vector(read, dimensions), next.next().length)));
  }

  @Override
  public void close() {
    reader.close();
  }
}
