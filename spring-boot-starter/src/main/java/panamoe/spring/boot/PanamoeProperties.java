package panamoe.spring.boot;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import panamoe.api.Device;
import panamoe.text.RerankingModel;
import panamoe.text.RetrievalOptions;

/**
 * Which models are opened. A model without a path is not.
 *
 * @param device that computes, for all models
 * @param threads that compute, for each model; 0 for one per processor
 * @param chat the model that writes replies
 * @param embedding the model that makes vectors
 * @param reranking the model that orders documents
 */
@ConfigurationProperties("panamoe")
public record PanamoeProperties(
    @DefaultValue("auto") Device.Type device,
    @DefaultValue("0") int threads,
    @DefaultValue Chat chat,
    @DefaultValue Embedding embedding,
    @DefaultValue Reranking reranking) {
  RetrievalOptions retrieval(int longest) {
    return RetrievalOptions.USUAL
        .withDevice(device.name().toLowerCase(Locale.ROOT))
        .withThreads(threads)
        .withLongest(longest);
  }

  /**
   * The model that writes replies.
   *
   * @param path folder, GGUF file or name such as hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M
   * @param name of the model, in responses and observations
   * @param template file of the chat template; the model's own by default
   * @param sequences replies that are written at a time
   * @param context tokens of the longest conversation; 0 for the model's
   * @param waiting most requests that wait; further ones are refused
   * @param drain how long replies may go on when the application ends
   * @param options of replies, for prompts that have none
   */
  public record Chat(
      String path,
      @DefaultValue("panamoe") String name,
      Path template,
      @DefaultValue("16") int sequences,
      @DefaultValue("0") int context,
      @DefaultValue("1000") int waiting,
      @DefaultValue("30s") Duration drain,
      @DefaultValue Options options) {}

  /**
   * Options of a reply. What is not set is the publisher's.
   *
   * @param maxTokens most tokens of a reply; 1024 by default
   * @param temperature 0 for the best token
   * @param topK only that many of the best tokens are sampled
   * @param topP only the best tokens with that probability together are sampled
   * @param minP tokens whose probability is below this part of the best one are not sampled
   * @param repetitionPenalty factor against tokens that occurred before; 1 for none
   * @param seed of the random numbers that choose tokens
   * @param timeout how long a reply may take from its submission on
   */
  public record Options(
      Integer maxTokens,
      Double temperature,
      Integer topK,
      Double topP,
      Double minP,
      Double repetitionPenalty,
      Long seed,
      Duration timeout) {}

  /**
   * The model that makes vectors.
   *
   * @param path folder or GGUF file
   * @param name of the model, in responses and observations
   * @param queryPrompt name of the model's prompt for texts; its usual one by default
   * @param documentPrompt name of the model's prompt for documents; its usual one by default
   * @param dimensions first numbers of a vector that are kept; 0 for all
   * @param longest tokens of the longest text
   */
  public record Embedding(
      String path,
      @DefaultValue("panamoe") String name,
      String queryPrompt,
      String documentPrompt,
      @DefaultValue("0") int dimensions,
      @DefaultValue("8192") int longest) {}

  /**
   * The model that orders documents.
   *
   * @param path folder or GGUF file
   * @param most how many of the best documents are kept
   * @param instruction what a query asks for, in a sentence
   * @param longest tokens of the longest document with its query
   */
  public record Reranking(
      String path,
      @DefaultValue("10") int most,
      @DefaultValue(RerankingModel.INSTRUCTION) String instruction,
      @DefaultValue("8192") int longest) {}
}
