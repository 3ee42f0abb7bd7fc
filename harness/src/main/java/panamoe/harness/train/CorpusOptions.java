package panamoe.harness.train;

import java.nio.file.Path;
import java.util.function.Supplier;
import panamoe.conversation.ChatCorpus;
import panamoe.conversation.ChatFormat;
import panamoe.harness.SharedOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options that name a run's text. */
final class CorpusOptions {
  @Mixin private TextSource source;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Tokens of panamoe data prepare, instead of --text, --languages, --tokenizer and --vocabulary.")
  private Path data;

  @Option(
      names = "--chat",
      paramLabel = "FILE",
      description =
          "Conversations, one in each line of JSON, in OpenAI's form (messages) or ShareGPT's (conversations): the model learns what the assistant says in them. With --from, instead of --text, --languages and --data.")
  private Path chat;

  @Option(
      names = "--dpo",
      paramLabel = "FILE",
      description =
          "Pairs of answers, one in each line of JSON: a prompt, and what was chosen and rejected. The model learns to prefer the chosen ones. With --from, instead of --text, --languages, --data and --chat.")
  private Path pairs;

  @Option(
      names = "--validation-share",
      paramLabel = "P",
      description =
          "Part of the conversations or pairs that is for validation. Default: 0.02; at least one is.")
  private Double share;

  /** Whether an option names conversations or pairs of answers. */
  boolean conversations() {
    return chat != null || pairs != null;
  }

  /** Refuses options that name several texts. */
  void requireOne(SharedOptions shared) {
    source.requireOne(shared);
    shared.require(
        data == null || !source.isNamed(),
        "--data holds the tokens of a text and does not go with --text and --languages");
    shared.require(
        pairs == null || chat == null && data == null && !source.isNamed(),
        "--dpo holds pairs of answers and does not go with --text, --languages, --data and --chat");
    shared.require(
        share == null || chat != null || pairs != null,
        "--validation-share divides conversations or pairs, and goes with --chat or --dpo");
    shared.require(
        share == null || share > 0 && share < 1,
        "--validation-share is %s, expected more than 0 and less than 1",
        share);
    shared.require(
        chat == null || data == null && !source.isNamed(),
        "--chat holds conversations and does not go with --text, --languages and --data");
  }

  /**
   * The text that the options name; null: none.
   *
   * @param format of the model, for conversations and pairs
   */
  TrainingText named(SharedOptions shared, Supplier<ChatFormat> format) {
    double part = share == null ? ChatCorpus.VALIDATION_SHARE : share;
    if (chat != null) {
      return TrainingText.chat(chat, format.get(), part);
    }
    if (pairs != null) {
      return TrainingText.pairs(pairs, format.get(), part);
    }
    if (data != null) {
      return TrainingText.prepared(data);
    }
    return source.isNamed() ? source.read(shared) : null;
  }

  /** Whether the options name pairs of answers. */
  boolean ofPairs() {
    return pairs != null;
  }

  /** The folder of prepared tokens to train on; null: a text. */
  Path data() {
    return data;
  }
}
