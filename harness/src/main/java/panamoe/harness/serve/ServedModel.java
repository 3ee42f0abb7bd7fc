package panamoe.harness.serve;

import java.util.concurrent.atomic.AtomicLong;
import panamoe.conversation.ChatFormat;
import panamoe.data.Tokenizer;
import panamoe.open.SamplingDefaults;

/**
 * The model of a server.
 *
 * @param name its id in the API
 * @param context length in tokens
 * @param fingerprint of everything that results depend on in addition to requests: weights, dtype,
 *     tokenizer, device
 * @param created time of loading, in seconds since 1970
 * @param constraints of its tokenizer
 * @param defaults for requests
 * @param talks whether it has conversations: a model with an encoder has none
 * @param chat its chat format; the form of calls applies to all constrained output
 */
record ServedModel(
    String name,
    int context,
    String fingerprint,
    long created,
    Constraints constraints,
    Defaults defaults,
    boolean talks,
    ChatFormat chat) {

  /**
   * Defaults for requests.
   *
   * @param seeds the next default seed
   */
  record Defaults(AtomicLong seeds, SamplingDefaults sampling) {}

  /**
   * @throws ApiError if a request names another model; the name is optional
   */
  void requireNamed(Fields fields) {
    String asked = fields.text("model", name);
    if (!asked.equals(name)) {
      throw ApiError.noModel(asked, name);
    }
  }

  /**
   * @throws ApiError if the model has no conversations
   */
  ChatFormat requireChat() {
    if (!talks) {
      throw ApiError.unsupported(
          "the model has an encoder: it takes one prompt, not a conversation; use /v1/completions",
          "messages");
    }
    return chat;
  }

  Tokenizer tokenizer() {
    return chat.tokenizer();
  }

  int vocabulary() {
    return tokenizer().vocabularySize();
  }
}
