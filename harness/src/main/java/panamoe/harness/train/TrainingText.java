package panamoe.harness.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import panamoe.conversation.ChatCorpus;
import panamoe.conversation.ChatFormat;
import panamoe.data.Corpus;
import panamoe.data.PreparedText;
import panamoe.data.TokenSource;
import panamoe.harness.SharedOptions;
import panamoe.harness.corpus.EuroparlCorpus;
import panamoe.harness.corpus.LanguageLabels;
import panamoe.io.Require;
import panamoe.open.FolderChat;
import panamoe.open.ModelFolder;
import panamoe.train.TextRecord;
import picocli.CommandLine.ParameterException;

/**
 * The training text.
 *
 * @param path of the text or of the folder of its tokens; null for the default corpus
 * @param languages kept of the default corpus; empty for all
 */
public record TrainingText(TokenSource tokens, Path path, Set<String> languages) {
  /**
   * The default corpus.
   *
   * @param languages ISO 639-1 codes to keep; empty keeps all and saves the ten seconds of language
   *     detection
   * @throws IllegalArgumentException if the corpus has no such language
   */
  public static TrainingText europarl(Set<String> languages) {
    requireKnown(languages);
    List<String> documents = EuroparlCorpus.documents();
    List<String> kept =
        languages.isEmpty() ? documents : new LanguageLabels().keep(documents, languages);
    return new TrainingText(Corpus.of(kept), null, languages);
  }

  /**
   * @throws IllegalArgumentException if the default corpus has no such language
   */
  public static void requireKnown(Set<String> languages) {
    for (String language : languages) {
      Require.that(
          LanguageLabels.codes().contains(language),
          "the default corpus has no language '%s', expected some of %s",
          language,
          LanguageLabels.codes());
    }
  }

  /**
   * The text that a model was trained on, from the {@code text.json} of its run.
   *
   * @param shared options of a command that was given no text
   * @throws ParameterException if the model's folder does not name it
   * @throws IllegalArgumentException if the text is missing or has changed
   */
  public static TrainingText of(ModelFolder model, SharedOptions shared) {
    TextRecord record =
        TextRecord.of(model)
            .orElseThrow(
                () ->
                    shared.usage(
                        "%s does not name the text that it was trained on; give one by --text",
                        model.path()));
    TrainingText text = of(record, () -> FolderChat.of(model, null, _ -> {}));
    if (!text.tokens().sha256().equals(record.sha256())) {
      throw Require.refusal(
          "the text %s has changed since %s was trained on it; give one by --text",
          text.source(), model.path());
    }
    return text;
  }

  /**
   * Reads the text of a run again.
   *
   * @param format of its model, for conversations
   * @throws IllegalArgumentException if it is missing
   */
  static TrainingText of(TextRecord record, Supplier<ChatFormat> format) {
    if (record.path() == null) {
      return europarl(Set.copyOf(record.languages()));
    }
    Path path = Path.of(record.path());
    boolean ofTokens = Boolean.TRUE.equals(record.prepared());
    boolean ofConversations = Boolean.TRUE.equals(record.chat());
    boolean ofPairs = Boolean.TRUE.equals(record.pairs());
    double share =
        record.validationShare() == null ? ChatCorpus.VALIDATION_SHARE : record.validationShare();
    if (Files.notExists(path)) {
      throw Require.refusal(
          "the run's text is no longer at %s; if it was moved, give its new path by %s",
          path, ofTokens ? "--data" : ofPairs ? "--dpo" : ofConversations ? "--chat" : "--text");
    }
    if (ofConversations) {
      return chat(path, format.get(), share);
    }
    if (ofPairs) {
      return pairs(path, format.get(), share);
    }
    return ofTokens ? prepared(path) : read(path);
  }

  /** The content of {@code text.json}. */
  public TextRecord record() {
    return new TextRecord(
        path == null ? null : path.toAbsolutePath().normalize().toString(),
        tokens instanceof PreparedText ? true : null,
        tokens instanceof ChatCorpus chat && !chat.ofPairs() ? true : null,
        tokens instanceof ChatCorpus chat && chat.ofPairs() ? true : null,
        tokens instanceof ChatCorpus chat && chat.share() != ChatCorpus.VALIDATION_SHARE
            ? chat.share()
            : null,
        languages.stream().sorted().toList(),
        tokens.sha256());
  }

  public static TrainingText read(Path path) {
    return new TrainingText(Corpus.read(path), path, Set.of());
  }

  /** The tokens that {@code panamoe data prepare} wrote into a folder. */
  public static TrainingText prepared(Path folder) {
    return new TrainingText(PreparedText.open(folder), folder, Set.of());
  }

  /** Conversations, in a model's format. */
  static TrainingText chat(Path file, ChatFormat format, double validationShare) {
    return new TrainingText(ChatCorpus.read(file, format, validationShare), file, Set.of());
  }

  /** Pairs of answers, in a model's format. */
  static TrainingText pairs(Path file, ChatFormat format, double validationShare) {
    return new TrainingText(ChatCorpus.pairs(file, format, validationShare), file, Set.of());
  }

  /** The text itself; not for tokens and conversations. */
  public Corpus corpus() {
    return (Corpus) tokens;
  }

  /** A short name, to print. */
  public String source() {
    if (path != null) {
      return path.toString();
    }
    return "Europarl, "
        + (languages.isEmpty()
            ? LanguageLabels.codes().size() + " languages"
            : languages.stream().sorted().collect(Collectors.joining(", ")));
  }

  /** The source with its authors and licence, to store with results. */
  public String attribution() {
    return path == null ? EuroparlCorpus.ATTRIBUTION : source();
  }

  /** Whether the text has several known languages, so that a report by language makes sense. */
  boolean multilingual() {
    return path == null && languages.size() != 1;
  }
}
