package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.JsonTokenizer;
import panamoe.data.tokenizer.BpeTrainer;
import panamoe.data.tokenizer.TrainedBpe;
import panamoe.harness.CommandRun;
import panamoe.harness.corpus.EuroparlCorpus;
import panamoe.io.Sha256;

class TokenizerCommandTest {
  /**
   * SHA-256 of the first 3,839 merges, one per line, that Hugging Face's tokenizers 0.23.2 (npm)
   * finds in the default corpus: {@code Tokenizer.train} of an empty BPE with the ByteLevel
   * pre-tokenizer, without a space prefix.
   */
  private static final String MERGES_OF_HUGGING_FACE =
      "823ab3253861b626b1525ca5330ad371cd3c81dcc9c7dda240f06424ada5e994";

  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    String line = "The committee thanks the members for the vote, другой комитет тоже.\n";
    text = Files.writeString(folder.resolve("text.txt"), line.repeat(100));
  }

  @Test
  void mergesOfTheDefaultCorpusAreThoseOfHuggingFace() throws InterruptedException {
    // Hugging Face's trainer reads a file by lines.
    String corpus = String.join("\n", EuroparlCorpus.documents()) + "\n";
    List<String> lines = Arrays.asList(corpus.split("(?<=\n)"));
    TrainedBpe trained = BpeTrainer.train(lines, 4096, 2, (_, _, _) -> {});
    MessageDigest digest = Sha256.digest();
    digest.update(String.join("\n", trained.merges()).getBytes(StandardCharsets.UTF_8));
    assertEquals(MERGES_OF_HUGGING_FACE, Sha256.hex(digest));
  }

  @Test
  void writesATokenizerOfTheAskedSize() throws IOException {
    Path file = folder.resolve("new/tokenizer.json");
    CommandRun run = tokenizer("300", file, "--text", text.toString());
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().startsWith(file + ": 300 tokens from 8,500 bytes of text in "), run.out());
    JsonTokenizer tokenizer = JsonTokenizer.load(file);
    assertEquals(300, tokenizer.vocabularySize());
    String sentence = "The members, другой.";
    assertEquals(sentence, tokenizer.decode(tokenizer.encode(sentence)));
    assertTrue(tokenizer.encode(sentence).length < sentence.length());

    Path again = folder.resolve("again.json");
    CommandRun json =
        tokenizer("300", again, "--text", text.toString(), "--threads", "3", "--json");
    assertEquals(0, json.exitCode(), json.err());
    assertTrue(json.out().contains("\"text_bytes\":8500"), json.out());
    assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(again));
  }

  @Test
  void badInputIsOneSentenceAndLeavesNoFile() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    refused(2, "the vocabulary is 257, expected 258", tokenizer("257", file));
    refused(2, "'many' is not a whole number", tokenizer("many", file));
    refused(2, "no language 'xx'", tokenizer("300", file, "--languages", "xx"));
    String[] both = {"--languages", "en", "--text", text.toString()};
    refused(2, "does not go with --text", tokenizer("300", file, both));
    refused(1, "the text no/text does not exist", tokenizer("300", file, "--text", "no/text"));
    refused(1, "is a folder; --out is a file", tokenizer("300", folder, "--text", text.toString()));
    refused(1, "exists already; choose", tokenizer("300", text, "--text", text.toString()));
    Path below = text.resolve("tokenizer.json");
    refused(1, text + " is a file", tokenizer("300", below, "--text", text.toString()));

    CommandRun more = tokenizer("4096", file, "--text", text.toString());
    assertEquals(1, more.exitCode());
    assertTrue(more.err().contains(" at most, fewer than the vocabulary of 4096"), more.err());

    byte[] latin = "Straße\n".repeat(100).getBytes(StandardCharsets.ISO_8859_1);
    Files.write(text, latin);
    refused(1, "is not a UTF-8 text: byte 4", tokenizer("300", file, "--text", text.toString()));
    assertFalse(Files.exists(file));
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(text), left.toList());
    }
  }

  private static void refused(int exitCode, String sentence, CommandRun run) {
    assertEquals(exitCode, run.exitCode(), run.err());
    assertTrue(run.err().contains(sentence), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
    assertEquals("", run.out());
  }

  private static CommandRun tokenizer(String vocabulary, Path out, String... more) {
    Stream<String> command =
        Stream.of("tokenizer", "--vocabulary", vocabulary, "--out", out.toString());
    return CommandRun.of(Stream.concat(command, Stream.of(more)).toArray(String[]::new));
  }
}
