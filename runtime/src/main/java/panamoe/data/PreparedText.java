package panamoe.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.io.ConfigJson;
import panamoe.io.DataException;
import panamoe.io.Require;
import panamoe.io.SafeFolder;

/**
 * A tokenized corpus on disk, for training without encoding it again or holding it in memory:
 *
 * <pre>
 * data.json                metadata, written last
 * tokenizer.json           absent if tokens are bytes
 * training-00000.tokens    a shard: {@link ShardHeader}, then uint16 or int32 tokens
 * validation-00000.tokens
 * </pre>
 *
 * <p>Thread-safe.
 */
public final class PreparedText implements TokenSource {
  private static final String CONTENT = "data.json";
  private static final String TOKENIZER = "tokenizer.json";
  private static final long TOKENS_PER_SHARD = 1L << 28;
  private static final int UINT16_VOCABULARY = 1 << 16;

  /**
   * The content of data.json.
   *
   * @param text its origin, to print
   * @param textSha256 of {@link Corpus#sha256}
   * @param textBytes of the text in UTF-8
   * @param tokenizerSha256 of {@link Tokenizer#sha256}
   * @param tokenBytes 2 (uint16) or 4 (int32)
   * @param shardTokens in each shard of a part but its last
   * @param trainingTokens in all shards of the part
   * @param validationTokens in all shards of the part
   */
  public record Content(
      String text,
      String textSha256,
      long textBytes,
      String tokenizerSha256,
      int vocabulary,
      int tokenBytes,
      long shardTokens,
      long trainingTokens,
      long validationTokens) {
    public Content {
      requireSha256("textSha256", textSha256);
      requireSha256("tokenizerSha256", tokenizerSha256);
      Require.that(vocabulary >= 1, "vocabulary is %s, expected 1 or more", vocabulary);
      Require.that(
          tokenBytes == Short.BYTES || tokenBytes == Integer.BYTES,
          "tokenBytes is %s, expected 2 or 4",
          tokenBytes);
      Require.that(shardTokens >= 1, "shardTokens is %s, expected 1 or more", shardTokens);
      Require.notNegative("trainingTokens", trainingTokens);
      Require.notNegative("validationTokens", validationTokens);
    }

    private static void requireSha256(String name, String value) {
      boolean holds = value != null && value.matches("[0-9a-f]{64}");
      Require.that(holds, "%s is %s, expected 64 hexadecimal digits", name, value);
    }

    ShardHeader.Shape shape(Corpus.Part part) {
      return new ShardHeader.Shape(tokenBytes, part, textSha256, tokenizerSha256);
    }
  }

  private final Path folder;
  private final Content content;

  private PreparedText(Path folder, Content content) {
    this.folder = folder;
    this.content = content;
  }

  /**
   * Encodes a corpus, passage by passage, into a new or empty folder. A failure removes what was
   * written.
   *
   * @param source of the corpus, to print
   * @param tokenizerFile copied into the folder; null for bytes
   * @throws DataException if the text cannot be read, or has fewer than two passages
   * @throws IllegalArgumentException if the folder is not empty
   */
  public static PreparedText prepare(
      Corpus corpus, String source, Tokenizer tokenizer, Path tokenizerFile, Path folder)
      throws IOException {
    return prepare(corpus, source, tokenizer, tokenizerFile, folder, TOKENS_PER_SHARD);
  }

  static PreparedText prepare(
      Corpus corpus,
      String source,
      Tokenizer tokenizer,
      Path tokenizerFile,
      Path folder,
      long perShard)
      throws IOException {
    boolean made = Files.notExists(folder);
    SafeFolder files = new SafeFolder(folder);
    if (!files.names("").isEmpty()) {
      throw new IllegalArgumentException(folder + " is not empty; choose an empty or new folder");
    }
    files.make();
    List<Path> created = new ArrayList<>(); // other processes may write here too
    try {
      Content content = write(corpus, source, tokenizer, folder, perShard, created);
      if (tokenizerFile != null) {
        created.add(folder.resolve(TOKENIZER));
        files.replace(TOKENIZER, Files.readAllBytes(tokenizerFile));
      }
      created.add(folder.resolve(CONTENT));
      files.replace(CONTENT, ConfigJson.text(content).getBytes(UTF_8));
      return new PreparedText(folder, content);
    } catch (IOException | RuntimeException | Error e) {
      try {
        for (Path file : created) {
          Files.deleteIfExists(file);
        }
        if (made && files.names("").isEmpty()) {
          Files.delete(folder);
        }
      } catch (IOException undeleted) {
        e.addSuppressed(undeleted);
      }
      throw e;
    }
  }

  private static Content write(
      Corpus corpus,
      String source,
      Tokenizer tokenizer,
      Path folder,
      long perShard,
      List<Path> created)
      throws IOException {
    int vocabulary = tokenizer.vocabularySize();
    int tokenBytes = vocabulary <= UINT16_VOCABULARY ? Short.BYTES : Integer.BYTES;
    Function<Corpus.Part, TokenShardWriter> writer =
        part -> {
          var shape = new ShardHeader.Shape(tokenBytes, part, corpus.sha256(), tokenizer.sha256());
          return new TokenShardWriter(folder, shape, perShard, created);
        };
    try (TokenShardWriter training = writer.apply(Corpus.Part.TRAINING);
        TokenShardWriter validation = writer.apply(Corpus.Part.VALIDATION)) {
      corpus.encode(
          tokenizer,
          Map.of(
              Corpus.Part.TRAINING, training::append,
              Corpus.Part.VALIDATION, validation::append));
      training.finish();
      validation.finish();
      return new Content(
          source,
          corpus.sha256(),
          corpus.bytes(),
          tokenizer.sha256(),
          vocabulary,
          tokenBytes,
          perShard,
          training.size(),
          validation.size());
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /**
   * Opens a folder without reading tokens.
   *
   * @throws DataException if the folder is not a prepared corpus
   */
  public static PreparedText open(Path folder) {
    try {
      if (!new SafeFolder(folder).has(CONTENT)) {
        throw new DataException(
            "%s holds no prepared text: it has no %s; panamoe data prepare makes one",
            folder, CONTENT);
      }
      return new PreparedText(folder, ConfigJson.read(folder.resolve(CONTENT), Content.class));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (IllegalArgumentException e) {
      throw new DataException(e.getMessage(), e);
    }
  }

  /** Whether a folder looks like a prepared corpus. */
  static boolean isIn(Path folder) {
    return Files.exists(folder.resolve(CONTENT))
        && Files.exists(folder.resolve(TokenShards.name(Corpus.Part.TRAINING, 0)));
  }

  public Content content() {
    return content;
  }

  /** The tokenizer's file; empty for bytes. */
  public Optional<Path> tokenizerFile() {
    try {
      return new SafeFolder(folder).has(TOKENIZER)
          ? Optional.of(folder.resolve(TOKENIZER))
          : Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String sha256() {
    return content.textSha256();
  }

  /** Maps all tokens, after reading them once to compare checksums. */
  @Override
  public Tokens tokens(Corpus.Part part, Tokenizer tokenizer, long most, DoubleConsumer progress) {
    if (!tokenizer.sha256().equals(content.tokenizerSha256())
        || tokenizer.vocabularySize() != content.vocabulary()) {
      throw new DataException(
          folder + " has the tokens of another tokenizer; prepare the text with this one");
    }
    long size =
        part == Corpus.Part.TRAINING ? content.trainingTokens() : content.validationTokens();
    return new TokenShards(
        folder, content.shape(part), size, content.shardTokens(), content.vocabulary());
  }
}
