package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.Corpus.Part;
import panamoe.io.DataException;

class CorpusTest {
  @TempDir private Path directory;

  @Test
  void splitsTwoPercentAtLineBorders() throws IOException {
    List<String> lines =
        IntStream.range(0, 40_000).mapToObj(i -> "line number " + i + " of the text\n").toList();
    Path file = write("text.txt", String.join("", lines));
    Corpus corpus = Corpus.read(file);
    List<String> training = corpus.passages(Part.TRAINING);
    List<String> validation = corpus.passages(Part.VALIDATION);
    assertEquals(Files.size(file), corpus.bytes());
    long kept = validation.stream().mapToLong(String::length).sum();
    assertEquals(0.02, kept / (double) corpus.bytes(), 0.001);
    List<String> all = new ArrayList<>();
    training.forEach(passage -> passage.lines().forEach(all::add));
    validation.forEach(passage -> passage.lines().forEach(all::add));
    Collections.sort(all);
    assertEquals(lines.stream().map(String::strip).sorted().toList(), all);
    assertEquals(validation, Corpus.read(file).passages(Part.VALIDATION));
  }

  @Test
  void everyStretchOfTheCorpusIsValidated() {
    List<String> documents = IntStream.range(0, 5000).mapToObj(i -> "document " + i).toList();
    List<Integer> validated =
        Corpus.of(documents).passages(Part.VALIDATION).stream()
            .map(text -> Integer.parseInt(text.substring(9)))
            .toList();
    assertEquals(100, validated.size());
    assertEquals(100, validated.stream().map(i -> i / 50).distinct().count());
    assertTrue(
        new HashSet<>(validated.stream().map(i -> i % 50).toList()).size() > 20,
        validated.toString());
  }

  @Test
  void documentsEndWithEndOfText() {
    List<String> documents = IntStream.range(0, 100).mapToObj(i -> "doc" + i).toList();
    ByteTokenizer tokenizer = new ByteTokenizer();
    Corpus corpus = Corpus.of(documents);
    for (Part part : Part.values()) {
      Tokens tokens = corpus.tokens(part, tokenizer);
      int[] all = IntStream.range(0, (int) tokens.size()).map(tokens::get).toArray();
      int[] expected =
          corpus.passages(part).stream()
              .flatMapToInt(
                  text -> IntStream.concat(IntStream.of(tokenizer.encode(text)), IntStream.of(256)))
              .toArray();
      assertArrayEquals(expected, all);
    }
  }

  @Test
  void asManyTokensAreEncodedAsAreWanted() {
    Corpus corpus = Corpus.of(List.of("word after word\n".repeat(2000)));
    Tokens all = corpus.tokens(Part.TRAINING, new ByteTokenizer());
    List<Double> told = new ArrayList<>();
    Tokens first = corpus.tokens(Part.TRAINING, new ByteTokenizer(), 1000, told::add);
    assertTrue(first.size() >= 1000 && first.size() < 1200, "tokens: " + first.size());
    for (long i = 0; i < first.size(); i++) {
      assertEquals(all.get(i), first.get(i));
    }
    assertEquals(told.stream().sorted().toList(), told);
    assertEquals(1, told.getLast());
    told.clear();
    long more = all.size() + 1;
    assertEquals(
        all.size(), corpus.tokens(Part.TRAINING, new ByteTokenizer(), more, told::add).size());
    assertEquals(1, told.getLast(), 0.02);
  }

  @Test
  void textAroundAPassageOfTheOtherPartIsNotJoined() {
    String text =
        "0123456789012345678901234567890123456789012345678901234567890123456789\n".repeat(100);
    Tokens tokens = Corpus.of(List.of(text)).tokens(Part.TRAINING, new ByteTokenizer());
    long ends = IntStream.range(0, (int) tokens.size()).filter(i -> tokens.get(i) == 256).count();
    assertEquals(
        3, ends, "one where each of two rows gives a passage away, one after the document");
  }

  /** Root may read everything. */
  @Test
  void saysWhyAFileCannotBeRead() throws IOException {
    Path file = write("secret.txt", "nobody's business\n".repeat(100));
    Files.setPosixFilePermissions(file, Set.of());
    assumeFalse(Files.isReadable(file));
    for (Path text : List.of(file, directory)) {
      assertEquals(
          "cannot read the text " + file + ": no permission",
          assertThrows(DataException.class, () -> Corpus.read(text)).getMessage());
    }
  }

  @Test
  void longLinesAreCutAtCharacters() {
    for (String unit : List.of("x", "é", "€", "😀")) {
      Corpus corpus = Corpus.of(List.of(unit.repeat(1_000_000 / unit.length())));
      for (Part part : Part.values()) {
        List<String> passages = corpus.passages(part);
        assertTrue(passages.size() > 1, unit);
        assertTrue(
            passages.stream()
                .allMatch(passage -> passage.equals(unit.repeat(passage.length() / unit.length()))),
            unit);
      }
    }
  }

  @Test
  void readsFoldersInTheOrderOfPaths() throws IOException {
    Files.createDirectories(directory.resolve("b/.git"));
    write("c.txt", "c".repeat(200));
    write("b/two.txt", "2".repeat(200));
    write("a.txt", "a".repeat(200));
    write("empty.txt", "");
    write(".hidden", "\0");
    write("b/.git/index", "\0");
    Files.createSymbolicLink(directory.resolve("link.txt"), directory.resolve("a.txt"));
    Corpus corpus = Corpus.read(directory);
    assertEquals(600, corpus.bytes());
    String training = String.join("", corpus.passages(Part.TRAINING));
    assertTrue(training.matches("a*2*c*"), training);
    assertNotEquals(0, corpus.passages(Part.VALIDATION).size());
  }

  @ParameterizedTest
  @CsvSource({
    "4142004344, byte 2 is NUL",
    "41ff42, byte 1 is 0xff",
    "c3, byte 0 is 0xc3",
    "4142e282, byte 2 is 0xe2",
    "c080, byte 0 is 0xc0",
    "eda080, byte 0 is 0xed",
    "f4908080, byte 0 is 0xf4",
  })
  void refusesBinaryFiles(String hex, String expected) throws IOException {
    Path file = Files.write(directory.resolve("data"), HexFormat.of().parseHex(hex));
    assertTrue(refusal(file).contains(file + " is not a UTF-8 text: " + expected), refusal(file));
    assertTrue(refusal(directory).contains(file.toString()));
  }

  @Test
  void findsTheFirstBadByteOfAnyFile() {
    byte[] text = "aé€😀\n".repeat(50_000).getBytes(StandardCharsets.UTF_8);
    assertEquals(-1, Utf8.firstBinary(text));
    for (int at : new int[] {0, 1, 8191, 8192, 8193, 300_000, text.length - 1}) {
      byte[] bad = text.clone();
      bad[at] = 0;
      assertTrue(
          Utf8.firstBinary(bad) >= at - 3 && Utf8.firstBinary(bad) <= at,
          at + ": " + Utf8.firstBinary(bad));
    }
  }

  @Test
  void refusesWhatHoldsNoText() throws IOException {
    assertTrue(refusal(directory.resolve("absent")).endsWith("absent does not exist"));
    assertTrue(refusal(directory).endsWith("has no text file"));
    assertTrue(refusal(write("empty", "")).contains("empty is empty, expected text"));
    assertTrue(refusal(directory).contains("is empty"));
    assertTrue(refusal(Path.of("/dev/null")).contains("neither a regular file nor a folder"));
    assertThrows(DataException.class, () -> Corpus.of(List.of()));
  }

  @Test
  void aShortTextIsWholeButHasNoParts() throws IOException {
    Corpus corpus = Corpus.read(write("short", "hello"));
    ByteTokenizer tokenizer = new ByteTokenizer();
    assertEquals(6, corpus.tokens(tokenizer).size());
    String refused =
        assertThrows(DataException.class, () -> corpus.tokens(Part.TRAINING, tokenizer))
            .getMessage();
    assertTrue(refused.contains("short has only 5 bytes of text, expected"), refused);
  }

  @Test
  void aTextThatChangesIsRefused() throws IOException {
    Path file = write("text.txt", "nobody's business\n".repeat(100));
    Corpus corpus = Corpus.read(file);
    Files.writeString(file, "somebody's house.\n".repeat(100));
    String refused =
        assertThrows(DataException.class, () -> corpus.passages(Part.TRAINING)).getMessage();
    assertEquals("the text " + file + " was changed while it was read; start again", refused);
  }

  @Test
  void aBadByteBehindManyPassagesIsFoundAtItsPlace() throws IOException {
    for (String bad : List.of("\0", "\u0080\u0080\u0080\u0080\u0080")) {
      byte[] text = ("€".repeat(70_000) + bad).getBytes(StandardCharsets.ISO_8859_1);
      byte[] euros = "€".repeat(70_000).getBytes(StandardCharsets.UTF_8);
      byte[] all = Arrays.copyOf(euros, euros.length + bad.length());
      System.arraycopy(text, 70_000, all, euros.length, bad.length());
      Path file = Files.write(directory.resolve("bad"), all);
      assertTrue(refusal(file).contains("byte " + euros.length + " is "), refusal(file));
    }
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(directory.resolve(name), text);
  }

  private static String refusal(Path path) {
    return assertThrows(DataException.class, () -> Corpus.read(path)).getMessage();
  }
}
