package panamoe.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import panamoe.io.Count;
import panamoe.io.FileTrouble;
import panamoe.io.Sha256;

/**
 * Training text, cut into passages of which 2 % are kept for validation.
 *
 * <p>A document is a file or a string. A passage is a part of one document, cut at the end of a
 * line (of a character, if a line is very long); it has about a 2000th of the corpus, but 64 bytes
 * to 4 KiB. Of every 50 consecutive passages one goes to validation, chosen by a hash of their
 * number. So the split depends on the text only, and every part of the corpus is represented.
 * Immutable.
 */
public final class Corpus {
  private static final int ROW = 50;
  private static final int MIN_PASSAGE_BYTES = 64;
  private static final int MAX_PASSAGE_BYTES = 4096;
  private static final int PASSAGES = 2000;

  /** A long line is cut when it makes a passage this many times longer than intended. */
  private static final int LONG_LINE = 8;

  /** A byte that does not occur in UTF-8. */
  private static final byte NO_UTF8 = (byte) 0xff;

  /** The two sides of the split. */
  public enum Part {
    TRAINING,
    VALIDATION
  }

  private record Passage(byte[] document, int from, int to) {
    String text() {
      return new String(document, from, to - from, StandardCharsets.UTF_8);
    }

    boolean endsDocument() {
      return to == document.length;
    }
  }

  private final List<Passage> passages = new ArrayList<>();
  private final long bytes;

  private Corpus(List<byte[]> documents, String source) {
    bytes = documents.stream().mapToLong(document -> document.length).sum();
    int wanted = Math.clamp(bytes / PASSAGES, MIN_PASSAGE_BYTES, MAX_PASSAGE_BYTES);
    documents.forEach(document -> cut(document, wanted));
    if (passages.size() < 2) {
      throw new DataException(
          source
              + (bytes == 0 ? " is empty" : " has only " + Count.of(bytes, "byte") + " of text")
              + ", expected text enough for a training and a validation part");
    }
  }

  /**
   * Reads a UTF-8 file, or all regular files of a folder and its subfolders in the order of their
   * paths. Hidden files and symbolic links in a folder are left out.
   *
   * @throws DataException if there is nothing to read, or a file is binary (has a NUL byte or is
   *     not UTF-8)
   */
  public static Corpus read(Path path) {
    try {
      List<Path> files = files(path);
      long total = 0;
      for (Path file : files) {
        total += Files.size(file);
      }
      if (total > Runtime.getRuntime().maxMemory() / 2) {
        throw new DataException(
            path
                + " has "
                + total
                + " bytes of text, more than half of the Java heap of "
                + Runtime.getRuntime().maxMemory()
                + " bytes; give Java more by -Xmx");
      }
      List<byte[]> documents = new ArrayList<>();
      for (Path file : files) {
        documents.add(text(file));
      }
      return new Corpus(documents, path.toString());
    } catch (IOException e) {
      String file = e instanceof FileSystemException named ? named.getFile() : path.toString();
      throw new DataException("cannot read the text " + file + ": " + FileTrouble.reason(e), e);
    }
  }

  /** A corpus from documents in memory; a lone surrogate becomes U+FFFD. */
  public static Corpus of(List<String> documents) {
    return new Corpus(documents.stream().map(Utf8::bytes).toList(), "the list of documents");
  }

  /** The SHA-256 of the text and its division into documents, in hexadecimal. */
  public String sha256() {
    MessageDigest digest = Sha256.digest();
    for (Passage passage : passages) {
      digest.update(passage.document(), passage.from(), passage.to() - passage.from());
      if (passage.endsDocument()) {
        digest.update(NO_UTF8);
      }
    }
    return Sha256.hex(digest);
  }

  /** Bytes of the whole text in UTF-8. */
  public long bytes() {
    return bytes;
  }

  /**
   * The tokens of one part. An end-of-text token follows each document and each passage that
   * continues in the other part.
   */
  TokenStream tokens(Part part, Tokenizer tokenizer) {
    TokenStream tokens = new TokenStream();
    for (int i = 0; i < passages.size(); i++) {
      if (part(i) == part) {
        Passage passage = passages.get(i);
        tokens.append(tokenizer.encode(passage.text()));
        if (passage.endsDocument() || part(i + 1) != part) {
          tokens.append(tokenizer.endOfText());
        }
      }
    }
    return tokens;
  }

  /** The passages of one part in order, as text. */
  public List<String> passages(Part part) {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < passages.size(); i++) {
      if (part(i) == part) {
        texts.add(passages.get(i).text());
      }
    }
    return texts;
  }

  private Part part(int passage) {
    int row = passage / ROW;
    // A corpus of fewer than 50 passages still gets one for validation; a shorter last row may get
    // none.
    int length = Math.min(ROW, passages.size());
    long drawn = Long.remainderUnsigned(Permutation.mix(row), length);
    return passage % ROW == drawn ? Part.VALIDATION : Part.TRAINING;
  }

  private void cut(byte[] document, int wanted) {
    for (int from = 0; from < document.length; ) {
      int to = border(document, from, wanted);
      passages.add(new Passage(document, from, to));
      from = to;
    }
  }

  private static int border(byte[] document, int from, int wanted) {
    int least = (int) Math.min(document.length, (long) from + wanted);
    int most = (int) Math.min(document.length, (long) from + (long) wanted * LONG_LINE);
    for (int to = least; to < most; to++) {
      if (document[to - 1] == '\n') {
        return to;
      }
    }
    while (most < document.length && !Utf8.beginsCharacter(document[most])) {
      most--;
    }
    return most;
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
    for (Path name : relative) {
      if (name.toString().startsWith(".")) {
        return true;
      }
    }
    return false;
  }

  private static byte[] text(Path file) throws IOException {
    byte[] text = Files.readAllBytes(file);
    int binary = Utf8.firstBinary(text);
    if (binary >= 0) {
      throw new DataException(
          file
              + " is not a UTF-8 text: byte "
              + binary
              + " is "
              + (text[binary] == 0
                  ? "NUL"
                  : String.format(
                      Locale.ROOT, "0x%02x, which is invalid there", text[binary] & 0xff)));
    }
    return text;
  }
}
