package panamoe.data;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.io.Count;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.Sha256;

/**
 * Training text, split into passages; 2 % of them are for validation.
 *
 * <p>A document is a file or a string. A passage is a part of one document, cut at the end of a
 * line, or at a character if the line is very long; its size is about a 2000th of the corpus, but
 * 64 bytes to 4 KiB. Of every 50 consecutive passages one goes to validation, chosen by a hash of
 * their number, so that the split depends on the text only and every part of the corpus is
 * represented. Immutable.
 *
 * <p>Each use reads the files again, passage by passage, so that a corpus may be larger than
 * memory. A file that has changed is refused.
 */
public final class Corpus implements TokenSource {
  private static final int ROW = 50;
  private static final int MIN_PASSAGE_BYTES = 64;
  private static final int MAX_PASSAGE_BYTES = 4096;
  private static final int PASSAGES = 2000;

  /** A byte that does not occur in UTF-8. */
  private static final byte NO_UTF8 = (byte) 0xff;

  /** The two sides of the split. */
  public enum Part {
    TRAINING,
    VALIDATION
  }

  /**
   * @param file null for a document in memory
   * @param text null for a file
   */
  private record Document(Path file, byte[] text, long bytes) {
    InputStream open() throws IOException {
      return file == null ? new ByteArrayInputStream(text) : Files.newInputStream(file);
    }
  }

  private record Passage(long number, byte[] bytes, boolean endsDocument) {
    String text() {
      return new String(bytes, StandardCharsets.UTF_8);
    }
  }

  private final List<Document> documents;
  private final String source;
  private final long bytes;
  private final int wanted;
  private final long passages;
  private final String sha256;

  private Corpus(List<Document> documents, String source) {
    this.documents = documents;
    this.source = source;
    bytes = documents.stream().mapToLong(Document::bytes).sum();
    if (bytes == 0) {
      throw new DataException(source + " is empty, expected text");
    }
    wanted = Math.clamp(bytes / PASSAGES, MIN_PASSAGE_BYTES, MAX_PASSAGE_BYTES);
    long[] seen = new long[2];
    sha256 =
        pass(
            passage -> {
              seen[0]++;
              seen[1] += passage.bytes().length;
            });
    requireUnchanged(seen[1] == bytes);
    passages = seen[0];
  }

  /**
   * Reads a UTF-8 file, or all regular files of a folder and its subfolders in the order of their
   * paths, without hidden files and symbolic links.
   *
   * @throws DataException if there is no text, or a file is binary (has a NUL byte or is not UTF-8)
   */
  public static Corpus read(Path path) {
    List<Document> documents = new ArrayList<>();
    try {
      for (Path file : files(path)) {
        documents.add(new Document(file, null, Files.size(file)));
      }
    } catch (IOException e) {
      throw unreadable(path, e);
    }
    return new Corpus(documents, path.toString());
  }

  /** A corpus from documents in memory; a lone surrogate becomes U+FFFD. */
  public static Corpus of(List<String> documents) {
    return new Corpus(
        documents.stream()
            .map(Utf8::bytes)
            .map(text -> new Document(null, text, text.length))
            .toList(),
        "the list of documents");
  }

  @Override
  public String sha256() {
    return sha256;
  }

  /** The size of the text in UTF-8 bytes. */
  public long bytes() {
    return bytes;
  }

  /**
   * The first tokens of one part: passages are encoded until there are {@code most}. An end-of-text
   * token follows each document, and each passage whose document continues in the other part.
   *
   * @throws DataException also if the text has fewer than two passages
   */
  @Override
  public Tokens tokens(Part part, Tokenizer tokenizer, long most, DoubleConsumer progress) {
    requireTwoParts();
    TokenStream tokens = new TokenStream();
    passAgain(
        passage -> {
          if (part(passage.number()) == part && tokens.size() < most) {
            encode(passage, tokenizer, tokens::append);
            double encoded = (double) tokens.size() / most;
            progress.accept(
                Math.clamp(encoded, (passage.number() + 1.0) / passages, 1)); // of a short text
          }
        });
    return tokens;
  }

  /** The tokens of the whole text, with an end-of-text token after each document. */
  public Tokens tokens(Tokenizer tokenizer) {
    TokenStream tokens = new TokenStream();
    passAgain(
        passage -> {
          tokens.append(tokenizer.encode(passage.text()));
          if (passage.endsDocument()) {
            tokens.append(tokenizer.endOfText());
          }
        });
    return tokens;
  }

  /** Like {@link #tokens(Part, Tokenizer)}, piece by piece, for the receiver of each part. */
  void encode(Tokenizer tokenizer, Map<Part, Consumer<int[]>> receivers) {
    requireTwoParts();
    passAgain(passage -> encode(passage, tokenizer, receivers.get(part(passage.number()))));
  }

  private void encode(Passage passage, Tokenizer tokenizer, Consumer<int[]> receiver) {
    receiver.accept(tokenizer.encode(passage.text()));
    if (passage.endsDocument() || part(passage.number() + 1) != part(passage.number())) {
      receiver.accept(new int[] {tokenizer.endOfText()});
    }
  }

  private void requireTwoParts() {
    if (passages < 2) {
      throw new DataException(
          "%s has only %s of text, expected text enough for a training and a validation part",
          source, Count.of(bytes, "byte"));
    }
  }

  /** The passages of one part in order, as text. */
  public List<String> passages(Part part) {
    List<String> texts = new ArrayList<>();
    passAgain(
        passage -> {
          if (part(passage.number()) == part) {
            texts.add(passage.text());
          }
        });
    return texts;
  }

  private Part part(long passage) {
    long row = passage / ROW;
    // A corpus of fewer than 50 passages still has one for validation; a shorter last group may
    // have none.
    long length = Math.min(ROW, passages);
    long chosen = Long.remainderUnsigned(Permutation.mix(row), length);
    return passage % ROW == chosen ? Part.VALIDATION : Part.TRAINING;
  }

  private void passAgain(Consumer<Passage> reader) {
    requireUnchanged(pass(reader).equals(sha256));
  }

  private void requireUnchanged(boolean unchanged) {
    if (!unchanged) {
      throw new DataException("the text " + source + " was changed while it was read; start again");
    }
  }

  /** Reads all passages in order; returns the SHA-256. */
  private String pass(Consumer<Passage> reader) {
    MessageDigest digest = Sha256.digest();
    long number = 0;
    for (Document document : documents) {
      try (PassageReader passages = new PassageReader(document.open(), wanted)) {
        long at = 0;
        for (byte[] next = passages.next(); next != null; next = passages.next()) {
          if (Thread.currentThread().isInterrupted()) {
            throw new DataException("reading the text " + source + " was interrupted");
          }
          if (document.file() != null) {
            Utf8.requireText(document.file(), at, next);
          }
          at += next.length;
          digest.update(next);
          if (passages.ended()) {
            digest.update(NO_UTF8);
          }
          reader.accept(new Passage(number++, next, passages.ended()));
        }
      } catch (IOException e) {
        throw unreadable(document.file(), e);
      }
    }
    return Sha256.hex(digest);
  }

  private static DataException unreadable(Path path, IOException e) {
    String file = e instanceof FileSystemException named ? named.getFile() : path.toString();
    return new DataException("cannot read the text " + file + ": " + FileErrors.reason(e), e);
  }

  private static List<Path> files(Path path) throws IOException {
    if (!Files.exists(path)) {
      throw new DataException("the text " + path + " does not exist");
    }
    if (!Files.isDirectory(path)) {
      if (!Files.isRegularFile(path)) {
        throw new DataException("the text " + path + " is neither a regular file nor a folder");
      }
      return List.of(path);
    }
    if (PreparedText.isIn(path)) {
      throw new DataException(
          "the folder %s holds prepared tokens, not text; train and distill take it by --data",
          path);
    }
    try (Stream<Path> entries = Files.walk(path)) {
      List<Path> files =
          entries
              .filter(file -> Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
              .filter(file -> !isHidden(path.relativize(file)))
              .sorted(Comparator.comparing(file -> path.relativize(file).toString()))
              .toList();
      if (files.isEmpty()) {
        throw new DataException("the folder " + path + " has no text file");
      }
      return files;
    }
  }

  private static boolean isHidden(Path relative) {
    return IntStream.range(0, relative.getNameCount())
        .anyMatch(i -> relative.getName(i).toString().startsWith("."));
  }
}
