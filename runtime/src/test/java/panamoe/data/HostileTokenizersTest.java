package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Files on which a tokenizer in native code ended the process: each is refused in a sentence, or
 * encodes.
 */
class HostileTokenizersTest {
  private final ObjectNode json = TinyTokenizer.json();

  @TempDir private Path directory;

  @Test
  void subwordPrefixWithMergesThatDoNotFitIt() throws IOException {
    ((ObjectNode) json.get("model")).put("continuing_subword_prefix", "####");
    ((ArrayNode) json.get("model").get("merges")).add("t h");
    refused("unsupported continuing_subword_prefix \"####\"");
  }

  @Test
  void precompiledNormalizerThatIsNone() throws IOException {
    json.putObject("normalizer").put("type", "Precompiled").put("precompiled_charsmap", "AAAA");
    refused("a precompiled_charsmap of no or a damaged table");
  }

  @Test
  void replacingAnEmptyPattern() throws IOException {
    json.putObject("normalizer")
        .put("type", "Replace")
        .put("content", "x")
        .putObject("pattern")
        .put("String", "");
    refused("replaces the pattern {\"String\":\"\"}, expected a Regex or String");
  }

  @Test
  void splittingByAnEmptyPattern() throws IOException {
    json.set("pre_tokenizer", TinyTokenizer.split("String", "", "Isolated", false));
    refused("expected a Regex or String of one character or more");
  }

  @Test
  void piecesOfNoLength() throws IOException {
    json.putObject("pre_tokenizer")
        .put("type", "Sequence")
        .putArray("pretokenizers")
        .add(TinyTokenizer.MAPPER.createObjectNode().put("type", "FixedLength").put("length", 0))
        .add(TinyTokenizer.byteLevel(false, false));
    refused("unsupported pre-tokenizer \"FixedLength\"");
  }

  @Test
  void halfACharacterInADecoder() throws IOException {
    json.putObject("decoder")
        .put("type", "Sequence")
        .putArray("decoders")
        .addObject()
        .put("type", "Replace")
        .put("content", "\ud800")
        .putObject("pattern")
        .put("String", "\ud800");
    refused("unsupported decoder {\"type\":\"Replace\"");
  }

  @Test
  void manyParenthesesInAPattern() throws IOException {
    for (String deep :
        List.of("(".repeat(100_000) + ")".repeat(100_000), "[".repeat(100_000), "(".repeat(9000))) {
      json.set("pre_tokenizer", TinyTokenizer.split("Regex", deep, "Isolated", false));
      refused("splits by the pattern");
    }
  }

  @Test
  void manyBracketsInTheFile() throws IOException {
    Path file =
        Files.writeString(
            directory.resolve("tokenizer.json"),
            "{\"normalizer\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}");
    DataException e = assertThrows(DataException.class, () -> JsonTokenizer.load(file));
    assertTrue(e.getMessage().contains("is not valid JSON"), e.getMessage());
  }

  /** Both where it matches and where it nearly does. */
  @Test
  void patternOnWhichBacktrackingNeverEnds() throws IOException {
    json.set("pre_tokenizer", TinyTokenizer.split("Regex", "(a+)+$", "Isolated", false));
    JsonTokenizer tokenizer = JsonTokenizer.load(write());
    for (String text : List.of("a".repeat(100_000), "a".repeat(100_000) + "!")) {
      assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
    }
  }

  /** Unicode sorts the marks on a letter; a run of them costs the square of its length. */
  @Test
  void manyMarksOnALetter() throws IOException {
    json.putObject("normalizer").put("type", "NFC");
    JsonTokenizer tokenizer = JsonTokenizer.load(write());
    int marks = 400_000;
    String text = tokenizer.decode(tokenizer.encode("e" + "\u0301\u0316".repeat(marks / 2)));
    assertEquals(marks, text.length(), "the first mark and the letter are one character");
    assertEquals("\u00e9\u0316", tokenizer.decode(tokenizer.encode("e\u0316\u0301")));
  }

  private void refused(String expected) throws IOException {
    Path file = write();
    DataException e = assertThrows(DataException.class, () -> JsonTokenizer.load(file));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
  }

  private Path write() throws IOException {
    return Files.write(
        directory.resolve("tokenizer.json"), TinyTokenizer.MAPPER.writeValueAsBytes(json));
  }
}
