package panamoe.harness.serve;

import java.util.concurrent.atomic.AtomicLong;
import panamoe.conversation.ChatFormat;
import panamoe.data.Tokenizer;
import panamoe.open.SamplingDefaults;

/**
 * The model that a server has.
 *
 * @param name its id
 * @param context most tokens of a prompt and its text
 * @param fingerprint of all that texts depend on beside requests: weights, dtype, tokenizer, device
 * @param created when it was loaded, in seconds since 1970
 * @param constraints of its tokenizer
 * @param defaults of requests
 * @param talks whether it has conversations: one with an encoder has none
 * @param chat their format, and that of all texts that keep to a grammar
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
   * What a request gets that does not say otherwise.
   *
   * @param seeds the next seed
   */
  record Defaults(AtomicLong seeds, SamplingDefaults sampling) {}

  /**
   * @throws ApiError if a request names another model; it may name none
   */
  void requireNamed(Fields fields) {
    String asked = fields.text("model", name);
    if (!asked.equals(name)) {
      throw ApiError.noModel(asked, name);
    }
  }

  /**
   * @throws ApiError if it has no conversations
   */
  ChatFormat requireChat() {
    if (!talks) {
      throw ApiError.unsupported(
          "the model has an encoder: it answers one text, not a conversation; use /v1/completions",
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
