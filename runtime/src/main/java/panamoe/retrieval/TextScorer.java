package panamoe.retrieval;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.data.Continuation;
import panamoe.data.Tokenizer;
import panamoe.engine.Readout;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;

/**
 * Scores texts by how likely they continue a prompt. Thread-safe; the bits of a score depend on its
 * text and the prompt alone.
 */
public final class TextScorer implements AutoCloseable {
  private final Tokenizer tokenizer;
  private final int longest;
  private final PromptReader reader;

  /**
   * Takes over the backend and the model until it is closed; the caller then frees both.
   *
   * @param folder of the model, with the context that is the longest prompt with its continuation
   */
  public TextScorer(ModelFolder folder, Backend backend, LanguageModel model) {
    this.tokenizer = folder.tokenizer();
    this.longest = folder.config().context();
    this.reader = new PromptReader(backend, model, tokenizer, longest);
  }

  /**
   * The log-likelihood of each text after the prompt, in nats, summed over its tokens. A prompt
   * that is too long loses its beginning.
   *
   * @throws IllegalArgumentException if a text is empty, or longer than the context, with its
   *     number
   * @throws panamoe.op.NotFinite like {@link PromptReader#read}, like the other exceptions
   */
  public double[] score(String prompt, List<String> texts) {
    List<Continuation> asked = new ArrayList<>();
    for (String text : texts) {
      PromptReader.requireText(text, "text", asked.size());
      try {
        asked.add(Continuation.of(tokenizer, prompt, text, longest));
      } catch (IllegalArgumentException e) {
        throw Require.refusal("%s: %s", PromptReader.named("text", asked.size()), e.getMessage());
      }
    }
    List<Double> nats = new ArrayList<>();
    reader.read(
        asked.stream().map(Continuation::tokens).toList(),
        Readout.LOGPROBS,
        "text",
        logprobs -> {
          double sum = 0;
          for (int i = asked.get(nats.size()).from(); i <= logprobs.length; i++) {
            sum += logprobs[i - 1];
          }
          nats.add(sum);
        });
    return nats.stream().mapToDouble(Double::doubleValue).toArray();
  }

  @Override
  public void close() {
    reader.close();
  }
}
